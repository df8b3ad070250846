"""What the photos of a report's galleries are like: asked only of those that are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from plantood.judging.gate import Gate
from plantood.model.entry import GateModel
from plantood.model.parts.neighbours import Neighbour, Neighbours
from plantood.training.features.cache import FeatureCache
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Photos, labels_of
from plantood.training.photos.remembered import remember_photos

SHOWN = 2
"""Pictures that are named below a photo."""

Like = Callable[[LabelledPhoto], Sequence[Neighbour]]


def by_gate(gate: GateModel) -> Like | None:
    """By what a gate remembers, through the graph that serves; None if it has no memory."""
    if gate.memory() is None:
        return None
    asked = Gate(gate)
    return lambda photo: asked.nearest(photo.path, SHOWN)


def by_features(features: FeatureCache, known: Photos) -> Like | None:
    """By the features of the frozen backbone, which are at hand before there is a gate.

    None if what is learned from is all plants, or all others.

    Args:
        features: of ``known`` and of every photo that may be asked for.
        known: what is learned from.
    """
    plant = labels_of(known) == 1
    if plant.all() or not plant.any():
        return None

    @cache
    def neighbours() -> Neighbours:
        return Neighbours(
            remember_photos(known, features.rows(known).pooled(), np.zeros(len(known)))
        )

    return lambda photo: neighbours().nearest(features.rows((photo,)).pooled(), SHOWN)[0]


def spoken(nearest: Sequence[Neighbour]) -> str:
    """As it stands below a photo; empty if it is like nothing."""
    return ", ".join(f"{one.label} {one.source} {one.distance:.2f}" for one in nearest)
