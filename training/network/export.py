"""Keras classifier to a pair of ONNX graphs, refused unless the two agree on real photos."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import onnx

from plantood.errors import ExportMismatch
from plantood.model.entry import BACKBONE, HEAD
from plantood.model.runtime import Scorer
from plantood.training.network import half, int8
from plantood.training.network.classifier import backbone_of, head_of

OPSET = 17
_KERAS_BATCH = 8

Quantization = Literal["float16", "int8"]

#: Largest |difference| of P(plant) between Keras and the exported graph that is let through.
#: In float32 only the order of additions differs. Half precision keeps 11 bits of a weight. Of
#: int8, whose error depends on the photo, the bound is on the mean and not on the largest.
MAX_DIFFERENCE = 1e-4
MAX_DIFFERENCE_FLOAT16 = 1e-2
MEAN_DIFFERENCE_INT8 = 3e-2
#: The same for embeddings, relative to the largest: a check that also works where every
#: probability is saturated at 0 or 1.
MAX_EMBEDDING_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class ExportReport:
    """How far the exported graph is from the Keras model.

    Attributes:
        quantization: None, ``"float16"`` (weights stored in half, computed in float32) or
            ``"int8"`` (backbone).
        photos: Photos compared.
        max_difference: Largest |difference| of P(plant).
        mean_difference: Mean |difference| of P(plant).
        same_decision: Share of photos on the same side of 0.5.
        embedding_difference: Largest |difference| of an embedding, relative to the largest.
        bytes: Size of both graphs together.
    """

    quantization: Quantization | None
    photos: int
    max_difference: float
    mean_difference: float
    same_decision: float
    embedding_difference: float
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for `metrics.json`."""
        return asdict(self)


def export_gate(
    model: keras.Model,
    directory: str | Path,
    check_images: np.ndarray,
    *,
    quantize: Quantization | None = None,
    calibration_images: np.ndarray | None = None,
) -> ExportReport:
    """Export a classifier to ``backbone.onnx`` and ``head.onnx`` in a directory.

    ``backbone.onnx`` maps ``image`` uint8 [N,S,S,3] to ``feature_map`` float32 [N,h,w,C], and
    ``head.onnx`` maps that to ``plant_probability`` float32 [N] and ``embedding`` float32 [N,C],
    the global average pool. The batch size is free.

    Args:
        model: From `build_classifier`.
        directory: Created if it is not there; only ever receives both files, or none.
        check_images: Real photos, uint8 RGB [N,S,S,3], N >= 1, on which both must agree.
        quantize: None for float32; ``"float16"`` stores the weights in half precision and
            computes in float32: half the size at the same speed; ``"int8"`` quantizes the
            backbone: a quarter of the size, about twice the speed on a CPU with VNNI.
        calibration_images: Real photos for the activation ranges of int8, uint8 [M,S,S,3]; some
            hundred of them, of all kinds that will be met. Default: ``check_images``.

    Returns:
        The measured differences.

    Raises:
        ExportMismatch: The graph and the model differ by more than the bounds above.
        ValueError: There are no check images.
    """
    if len(check_images) == 0:
        raise ValueError("The export needs at least one real photo to be checked on.")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".export-") as staging:
        backbone_path, head_path = Path(staging, BACKBONE), Path(staging, HEAD)
        _convert_backbone(backbone_of(model), backbone_path)
        _convert_head(head_of(model), head_path)
        if quantize == "float16":
            half.halve_onnx(backbone_path)
            half.halve_onnx(head_path)
        elif quantize == "int8":
            photos = check_images if calibration_images is None else calibration_images
            int8.quantize_backbone(backbone_path, photos)
        report = _compare(model, backbone_path, head_path, check_images, quantize)
        _refuse_mismatch(report)
        for path in (backbone_path, head_path):
            shutil.move(path, directory / path.name)
    return report


def _convert_backbone(backbone: keras.Model, path: Path) -> None:
    named = keras.Model(backbone.input, {"feature_map": backbone.output})
    graph = _convert(named, "image", path)
    _fuse_padding(graph)
    onnx.save(graph, path)


def _convert_head(head: keras.Model, path: Path) -> None:
    feature_map = keras.Input(head.input_shape[1:], name="feature_map")
    outputs = {
        "plant_probability": keras.ops.squeeze(head(feature_map), axis=-1),
        "embedding": keras.layers.GlobalAveragePooling2D()(feature_map),
    }
    onnx.save(_convert(keras.Model(feature_map, outputs), "feature_map", path), path)


def _convert(model: keras.Model, input_name: str, path: Path) -> onnx.ModelProto:
    spec = keras.InputSpec(shape=model.input.shape, dtype=model.input.dtype, name=input_name)
    with _quiet_tf2onnx():
        model.export(
            path, format="onnx", input_signature=[spec], opset_version=OPSET, verbose=False
        )
    graph = onnx.load(path)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return graph


@contextmanager
def _quiet_tf2onnx() -> Iterator[None]:
    """Silence tf2onnx's warnings about numpy, and about an optimizer that fails on hard-swish.

    Where that one fails (MobileNetV3) changes of layout remain in the graph; ONNX Runtime removes
    them itself when the session starts.
    """
    logger = logging.getLogger("tf2onnx.optimizer")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _fuse_padding(model: onnx.ModelProto) -> None:
    """Fold a zero padding between a ReLU and a max pooling into the pooling, in place.

    After a ReLU nothing is below zero, so padding with zeros and padding with minus infinity,
    which is what ONNX's MaxPool does itself, give the same. ResNet's stem has such a pair; left
    alone, the runtime leaves its blocked memory layout and comes back to it just for that.
    """
    graph = model.graph
    producer = {output: node for node in graph.node for output in node.output}
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    for pool in [node for node in graph.node if node.op_type == "MaxPool"]:
        pad = producer.get(pool.input[0])
        if pad is None or pad.op_type != "Pad" or producer[pad.input[0]].op_type != "Relu":
            continue
        pads = constants[pad.input[1]].tolist()  # begin of N, C, H, W, then end of N, C, H, W
        kept = [a for a in pool.attribute if a.name not in ("pads", "auto_pad")]
        del pool.attribute[:]
        pool.attribute.extend(kept)
        pool.attribute.append(onnx.helper.make_attribute("pads", pads[2:4] + pads[6:8]))
        pool.input[0] = pad.input[0]
        graph.node.remove(pad)
        for unused in [i for i in graph.initializer if i.name in pad.input[1:]]:
            graph.initializer.remove(unused)


def _compare(
    model: keras.Model,
    backbone_path: Path,
    head_path: Path,
    images: np.ndarray,
    quantize: Quantization | None,
) -> ExportReport:
    scores = Scorer(backbone_path, head_path).score(images)
    expected, pooled = _keras_scores(model, images)
    difference = np.abs(scores.plant_probability - expected)
    embedding_difference = np.abs(scores.embedding - pooled).max() / max(np.abs(pooled).max(), 1e-9)
    return ExportReport(
        quantization=quantize,
        photos=len(images),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        same_decision=float(np.mean((scores.plant_probability >= 0.5) == (expected >= 0.5))),
        embedding_difference=float(embedding_difference),
        bytes=backbone_path.stat().st_size + head_path.stat().st_size,
    )


def _keras_scores(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(plant) [N] and embedding [N,C] by the Keras model, layer by layer: tracing costs more."""
    probabilities, embeddings = [], []
    for start in range(0, len(images), _KERAS_BATCH):
        maps = backbone_of(model)(images[start : start + _KERAS_BATCH], training=False)
        probabilities.append(np.asarray(head_of(model)(maps, training=False))[:, 0])
        embeddings.append(np.asarray(maps).mean(axis=(1, 2)))
    return np.concatenate(probabilities), np.concatenate(embeddings)


def _refuse_mismatch(report: ExportReport) -> None:
    checks: list[tuple[str, float, float]]
    if report.quantization is None:
        checks = [
            ("largest difference of P(plant)", report.max_difference, MAX_DIFFERENCE),
            (
                "largest relative difference of the embedding",
                report.embedding_difference,
                MAX_EMBEDDING_DIFFERENCE,
            ),
        ]
    elif report.quantization == "float16":
        checks = [("largest difference of P(plant)", report.max_difference, MAX_DIFFERENCE_FLOAT16)]
    else:
        checks = [("mean difference of P(plant)", report.mean_difference, MEAN_DIFFERENCE_INT8)]
    for what, value, bound in checks:
        if not value <= bound:  # also refuses NaN
            raise ExportMismatch(
                f"The export was refused: on {report.photos} photos the {what} between the "
                f"{report.quantization or 'float32'} graph and the Keras model is {value:.2g}, "
                f"above the bound {bound:g}; "
                + (
                    "give more, and more varied, calibration photos, or export without int8."
                    if report.quantization == "int8"
                    else "export without quantization, or look for a layer that ONNX computes "
                    "differently."
                )
            )
