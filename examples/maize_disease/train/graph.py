"""The trained detector as one ONNX graph: the backbone's, with the head at its end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper


@dataclass(frozen=True)
class Head:
    """Logistic regression: the probabilities of an embedding are softmax(x kernel + bias)."""

    diseases: list[str]
    """Names of the K classes, in order."""
    kernel: NDArray[np.floating]
    """``[C, K]``."""
    bias: NDArray[np.floating]
    """``[K]``."""


def write(backbone: Path, head: Head, path: Path) -> None:
    """Join backbone and head: ``image`` uint8 ``[N, S, S, 3]`` to ``probabilities`` ``[N, K]``.

    Args:
        backbone: Graph ``image`` -> ``feature_map`` float32 ``[N, h, w, C]``; its weights stay in
            the precision in which they are stored.
        head: What to put at its end; the names of its classes go into the file's metadata.
        path: File to write.
    """
    network = onnx.load(backbone)
    shape = network.graph.output[0].type.tensor_type.shape.dim
    height, width, channels = (dim.dim_value for dim in shape[1:])
    weights = {"kernel": head.kernel, "bias": head.bias}
    end = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["map"], ["embedding"], axes=[1, 2], keepdims=0),
            helper.make_node("Gemm", ["embedding", "kernel", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "head",
        [
            helper.make_tensor_value_info(
                "map", TensorProto.FLOAT, ["batch", height, width, channels]
            )
        ],
        [
            helper.make_tensor_value_info(
                "probabilities", TensorProto.FLOAT, ["batch", len(head.diseases)]
            )
        ],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in weights.items()
        ],
    )
    model = compose.merge_models(
        network,
        helper.make_model(end, opset_imports=network.opset_import, ir_version=network.ir_version),
        io_map=[("feature_map", "map")],
    )
    helper.set_model_props(model, {"diseases": json.dumps(head.diseases)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
