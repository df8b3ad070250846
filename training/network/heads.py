"""Heads: the layers that turn a backbone's feature map into P(plant).

V1, V2 and V3 are the source project's three, layer by layer; GAP is the field's usual baseline, and
GAP-L2 is that on embeddings of length 1: the head of the starter gate.
Adding one means one function, one line in `_HIDDEN`, and two in `common.settings`: in `HEADS`, and
in `LEARNING_RATES` or `LINEAR_HEADS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from plantood.training.common.settings import HEADS as SUMMARIES

#: Share of units dropped in training. The source does not state its rate; one half is the usual
#: choice for fully connected layers (Srivastava et al. 2014, JMLR 15, section A.4).
DEFAULT_DROPOUT = 0.5
LAST_LAYER = "plant_probability"


@dataclass(frozen=True)
class Head:
    """One row of the table.

    Attributes:
        name: Key in `HEADS`.
        summary: The layers in one line, for help texts and model cards.
        hidden: ``dropout rate -> layers`` between the feature map and the last dense layer.
    """

    name: str
    summary: str
    hidden: Callable[[float], list[keras.Layer]]


def _dense(units: int, dropout: float) -> list[keras.Layer]:
    return [
        layers.Dense(units, activation="relu"),
        layers.Dropout(dropout),
        layers.BatchNormalization(),
    ]


def _v1(dropout: float) -> list[keras.Layer]:
    return [layers.Flatten(), *_dense(150, dropout)]


def _v2(dropout: float) -> list[keras.Layer]:
    return [
        layers.Flatten(),
        *_dense(256, dropout),
        *_dense(128, dropout),
        *_dense(64, dropout),
    ]


def _v3(dropout: float) -> list[keras.Layer]:
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        *_dense(256, dropout),
    ]


def _gap(dropout: float) -> list[keras.Layer]:
    return [layers.GlobalAveragePooling2D(), layers.Dropout(dropout)]


def _gap_l2(dropout: float) -> list[keras.Layer]:
    return [layers.GlobalAveragePooling2D(), layers.UnitNormalization(), layers.Dropout(dropout)]


_HIDDEN = {"v1": _v1, "v2": _v2, "v3": _v3, "gap": _gap, "gap_l2": _gap_l2}
HEADS: dict[str, Head] = {
    name: Head(name, SUMMARIES[name], hidden) for name, hidden in _HIDDEN.items()
}


def build_head(
    name: str, feature_shape: tuple[int, int, int], dropout: float = DEFAULT_DROPOUT
) -> keras.Model:
    """Build a head.

    Args:
        name: A key of `HEADS`.
        feature_shape: (h, w, C) of the backbone's feature map.
        dropout: Share of units dropped in training, 0..1 (exclusive).

    Returns:
        A model named ``head``: float32 feature map [N,h,w,C] -> P(plant) float32 [N,1], 0..1.

    Raises:
        ValueError: There is no head of this name.
    """
    if name not in HEADS:
        raise ValueError(f"There is no head {name!r}; there are {', '.join(HEADS)}.")
    feature_map = keras.Input(tuple(feature_shape), name="feature_map")
    x = feature_map
    for layer in HEADS[name].hidden(dropout):
        x = layer(x)
    # float32 even under a mixed-precision policy: a sigmoid saturates early in half precision.
    probability = layers.Dense(1, activation="sigmoid", dtype="float32", name=LAST_LAYER)
    return keras.Model(feature_map, probability(x), name="head")
