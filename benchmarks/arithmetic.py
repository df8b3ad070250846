"""The arithmetic floor: how long the network's multiplications take at the machine's best rate."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx


def multiply_adds(graph: Path) -> int:
    """Multiply-add operations of all convolutions and matrix products for one image.

    Args:
        graph: an ONNX file; a free batch dimension counts as one image.
    """
    model = onnx.load(graph)
    for value in [*model.graph.input, *model.graph.output]:
        batch = value.type.tensor_type.shape.dim[0]
        batch.ClearField("dim_param")
        batch.dim_value = 1
    model = onnx.shape_inference.infer_shapes(model)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            # A weight is [out, in / groups, height, width]: each output value costs the last three.
            total += int(np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:]))
        elif node.op_type in ("MatMul", "Gemm"):
            inner = shapes[node.input[0]][-1]
            total += int(np.prod(shapes[node.output[0]]) * inner)
    return total


def matmul_multiply_adds_per_second(size: int = 4096, repeats: int = 5) -> float:
    """The best rate of a large float32 matrix product (NumPy's BLAS, all cores)."""
    rng = np.random.default_rng(0)
    left = rng.random((size, size), dtype=np.float32)
    right = rng.random((size, size), dtype=np.float32)
    best = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    return size**3 / best
