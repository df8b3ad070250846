from __future__ import annotations

from collections import Counter
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from plantood.errors import ExportMismatch
from plantood.model.runtime import Scorer
from plantood.training.network import export
from plantood.training.network.backbones import BACKBONES, build_backbone
from plantood.training.network.classifier import backbone_of, build_classifier, head_of
from plantood.training.network.export import ExportReport, export_gate
from plantood.training.network.heads import HEADS, build_head

#: Every backbone and every head, in as few exports as that takes.
PAIRS = [
    ("resnet50", "gap"),
    ("efficientnet_lite0", "v1"),
    ("mobilenet", "v2"),
    ("mobilenet_v3_small", "v3"),
    ("efficientnetv2_b0", "gap_l2"),
]


def test_the_pairs_cover_both_tables() -> None:
    assert {backbone for backbone, _ in PAIRS} == set(BACKBONES)
    assert {head for _, head in PAIRS} == set(HEADS)


def _signature(path: Path) -> dict[str, tuple[str, list[object]]]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return {v.name: (v.type, v.shape) for v in (*session.get_inputs(), *session.get_outputs())}


@pytest.mark.parametrize(("name", "head"), PAIRS)
def test_each_network_agrees_with_keras(
    name: str, head: str, photos: np.ndarray, tmp_path: Path
) -> None:
    backbone = build_backbone(name, "none")
    model = build_classifier(backbone, build_head(head, backbone.output_shape[1:]))
    report = export_gate(model, tmp_path, photos[:4])
    assert report.photos == 4
    assert report.max_difference <= 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backbone.onnx", "head.onnx"]

    channels = BACKBONES[name].channels
    assert _signature(tmp_path / "backbone.onnx") == {
        "image": ("tensor(uint8)", ["batch", 224, 224, 3]),
        "feature_map": ("tensor(float)", ["batch", 7, 7, channels]),
    }
    assert _signature(tmp_path / "head.onnx") == {
        "feature_map": ("tensor(float)", ["batch", 7, 7, channels]),
        "plant_probability": ("tensor(float)", ["batch"]),
        "embedding": ("tensor(float)", ["batch", channels]),
    }
    scorer = Scorer(tmp_path / "backbone.onnx", tmp_path / "head.onnx")
    assert scorer.input_size == BACKBONES[name].input_size
    scores = scorer.score(photos[:3])
    maps = backbone_of(model)(photos[:3])
    np.testing.assert_allclose(
        scores.plant_probability, np.asarray(head_of(model)(maps))[:, 0], atol=1e-4
    )

    operators = Counter(n.op_type for n in onnx.load(tmp_path / "backbone.onnx").graph.node)
    # One change of layout on the way in and one on the way out, none within the network (the
    # squeeze-and-excitation blocks, which pool to 1x1, are another matter).
    if name in ("resnet50", "efficientnet_lite0", "mobilenet"):
        assert operators["Transpose"] == 2
    assert "BatchNormalization" not in operators
    if name == "resnet50":
        assert "Pad" not in operators


@pytest.fixture(scope="module")
def full(
    starter_model: keras.Model, photos: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ExportReport, Path]:
    """The starter gate exported in float32."""
    directory = tmp_path_factory.mktemp("full")
    return export_gate(starter_model, directory, photos), directory


def test_the_starter_agrees_on_real_photos(full: tuple[ExportReport, Path]) -> None:
    report, directory = full
    assert report.quantization is None
    assert report.max_difference <= 1e-4
    assert report.same_decision == 1
    assert report.bytes == sum(path.stat().st_size for path in directory.iterdir())


def test_float16_halves_the_size(
    full: tuple[ExportReport, Path],
    starter_model: keras.Model,
    photos: np.ndarray,
    tmp_path: Path,
) -> None:
    half = export_gate(starter_model, tmp_path / "half", photos, quantize="float16")
    assert half.quantization == "float16"
    assert half.bytes < 0.55 * full[0].bytes
    assert 0 < half.max_difference <= export.MAX_DIFFERENCE_FLOAT16
    kernels = {
        i.data_type
        for i in onnx.load(tmp_path / "half/backbone.onnx").graph.initializer
        if len(i.dims) == 4
    }
    assert kernels == {onnx.TensorProto.FLOAT16}


def test_int8_quarters_the_size_and_reports_its_cost(
    full: tuple[ExportReport, Path],
    starter_model: keras.Model,
    photos: np.ndarray,
    tmp_path: Path,
) -> None:
    small = export_gate(starter_model, tmp_path / "small", photos, quantize="int8")
    assert small.bytes < 0.35 * full[0].bytes
    assert 0 < small.mean_difference <= export.MEAN_DIFFERENCE_INT8
    operators = Counter(n.op_type for n in onnx.load(tmp_path / "small/backbone.onnx").graph.node)
    assert operators["QuantizeLinear"] > 30
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == [
        "backbone.onnx",
        "head.onnx",
    ]


def test_a_graph_that_disagrees_is_refused_and_nothing_kept(
    photos: np.ndarray, tmp_path: Path
) -> None:
    """A head that blows the rounding of the backbone up, on photos whose logits cancel to zero."""
    backbone = build_backbone("mobilenet_v3_small", "none")
    head = build_head("gap", backbone.output_shape[1:])
    embeddings = np.asarray(backbone(photos[:4])).mean(axis=(1, 2), dtype=np.float64)
    random = np.random.default_rng(0).normal(size=embeddings.shape[1])
    cancelling = random - np.linalg.pinv(embeddings) @ (embeddings @ random)
    kernel = 1e7 * cancelling / np.abs(embeddings).max()
    head.get_layer("plant_probability").set_weights([kernel[:, None], np.zeros(1)])
    with pytest.raises(ExportMismatch, match=r"on 4 photos .* above the bound 0\.0001"):
        export_gate(build_classifier(backbone, head), tmp_path / "out", photos[:4])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("quantize", "wrong"),
    [
        (None, {"max_difference": 2e-4}),
        (None, {"max_difference": float("nan")}),
        (None, {"embedding_difference": 2e-3}),
        ("float16", {"max_difference": 2e-2}),
        ("int8", {"mean_difference": 4e-2}),
    ],
)
def test_bounds(quantize: export.Quantization | None, wrong: dict[str, float]) -> None:
    fine = {"max_difference": 5e-5, "mean_difference": 1e-5, "embedding_difference": 1e-6}
    rest = {"quantization": quantize, "photos": 4, "same_decision": 1.0, "bytes": 1}
    export._refuse_mismatch(ExportReport(**rest, **fine))
    with pytest.raises(ExportMismatch, match="The export was refused: on 4 photos"):
        export._refuse_mismatch(ExportReport(**rest, **(fine | wrong)))


def test_an_export_needs_a_photo(starter_model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one real photo"):
        export_gate(starter_model, tmp_path, np.empty((0, 224, 224, 3), np.uint8))
