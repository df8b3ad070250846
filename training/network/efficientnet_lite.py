"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation, and ReLU6 for swish.

Not in `keras.applications`. Stem and head keep their width in all Lite variants, the first and the
last stage their depth; Lite0 has the widths and depths of B0. Source: Google's EfficientNet-Lite,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

from math import ceil
from typing import Any

import keras
from keras import layers

from plantood.errors import WeightsUnavailable

# (repeats, kernel, stride of the first, expansion, filters), Tan and Le 2019, table 1.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_FILTERS, HEAD_FILTERS = 32, 1280
DIVISOR = 8
"""Of every number of filters."""


def build(
    tensor: Any, weights: str | None, *, width: float = 1.0, depth: float = 1.0
) -> keras.Model:
    """Build the network on a preprocessed tensor; Lite0, if nothing else is said.

    Args:
        tensor: float32 [N,S,S,3], (x - 127) / 128; S is 224 for Lite0, 260 for Lite2.
        weights: None; Keras hosts no ImageNet weights of this network.
        width: coefficient of the filters; 1.1 for Lite2.
        depth: coefficient of the repeats; 1.2 for Lite2.

    Returns:
        A model whose output is float32 [N,h,w,1280] in 0..6; for Lite0 [N,7,7,1280], with
        3,413,024 parameters.

    Raises:
        WeightsUnavailable: ``weights`` is not None.
    """
    if weights is not None:
        raise WeightsUnavailable(
            "Keras hosts no ImageNet weights of efficientnet_lite0; give a file "
            "(--weights FILE) or take the starter gate's backbone (--weights starter)."
        )
    x = _conv(tensor, STEM_FILTERS, kernel=3, stride=2, name="stem")
    block = 0
    for stage in STAGES:
        repeats, kernel, stride, expansion, filters = stage
        if stage not in (STAGES[0], STAGES[-1]):
            repeats = ceil(depth * repeats)
        for repeat in range(repeats):
            first_stride = stride if repeat == 0 else 1
            scaled = _rounded(width * filters)
            x = _block(x, kernel, first_stride, expansion, scaled, name=f"block{block}")
            block += 1
    x = _conv(x, HEAD_FILTERS, kernel=1, stride=1, name="head")
    return keras.Model(keras.utils.get_source_inputs(tensor), x)


def _rounded(filters: float) -> int:
    """To a multiple of `DIVISOR`, by no more than a tenth downwards."""
    near = max(DIVISOR, int(filters + DIVISOR / 2) // DIVISOR * DIVISOR)
    return near if near >= 0.9 * filters else near + DIVISOR


def _block(x: Any, kernel: int, stride: int, expansion: int, filters: int, *, name: str) -> Any:
    """Inverted residual block (MBConv): expand 1x1, depthwise, project 1x1, add."""
    shortcut = x
    if expansion > 1:
        x = _conv(x, x.shape[-1] * expansion, kernel=1, stride=1, name=f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}_dw_conv"
    )(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_dw_bn")(x)
    x = layers.ReLU(max_value=6.0, name=f"{name}_dw_relu")(x)
    x = _conv(x, filters, kernel=1, stride=1, name=f"{name}_project", activation=False)
    if stride == 1 and shortcut.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _conv(
    x: Any, filters: int, kernel: int, stride: int, *, name: str, activation: bool = True
) -> Any:
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(
        x
    )
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x) if activation else x
