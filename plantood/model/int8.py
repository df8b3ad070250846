"""Static int8 quantization of the backbone, calibrated on real photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

#: Operators that run in int8. The rest (normalisation of the pixels, pooling, layout) stay float.
QUANTIZED_OPERATORS = ["Conv", "Add", "MaxPool"]


class _Photos(CalibrationDataReader):
    """Feeds photos to the calibration, one by one, which keeps its memory small."""

    def __init__(self, photos: np.ndarray) -> None:
        self._batches: Iterator[np.ndarray] = iter(np.split(photos, len(photos)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def quantize_backbone(path: str | Path, photos: np.ndarray) -> None:
    """Quantize a backbone graph in place.

    Weights are int8 per channel, activations uint8 per tensor with the range seen on the photos
    (moving average of minimum and maximum), in QDQ format (Jacob et al. 2018,
    https://arxiv.org/abs/1712.05877). The head stays in float32.

    Args:
        path: ``backbone.onnx`` in float32.
        photos: Real photos, uint8 RGB [N,S,S,3].
    """
    quantize_static(
        str(path),
        str(path),
        _Photos(photos),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=QUANTIZED_OPERATORS,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=_before_first_convolution(onnx.load(path)),
        extra_options={"CalibMovingAverage": True},
    )


def _before_first_convolution(model: onnx.ModelProto) -> list[str]:
    """Name the nodes that normalise the pixels: rounding there would be paid in every layer."""
    names = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            break
        names.append(node.name)
    return names
