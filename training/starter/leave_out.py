"""Leave-one-source-out: what the recipe is worth on cameras and fields that it has not seen.

One training per source: nothing of the source is in it, neither its photos, nor what was cut from
them, nor their grounds; collections that share a table and a camera are left out together.
(Leaving out a plant source *and* an other source at once needs half the trainings, but flatters:
bare soil is judged more mildly by a model that never saw seedlings.)

By these scores P(plant) is calibrated and the threshold is chosen (`judging.rule`); photos of the
test split take no part in any choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.calibration import sigmoid
from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.rule import Unseen
from plantood.training.photos.division.units import Together, units_of
from plantood.training.process.progress import track
from plantood.training.recipe.samples import Sample

ProbeScores = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits of P(plant) ``[n]``, and margins by a memory ``[n]``."""
Trainer = Callable[[frozenset[str], NDArray[np.intp]], ProbeScores]
"""Left-out sources and rows to score, to what a model says that was trained on all the rest."""

COSTS = CostSettings(share_of_others=0.5)
"""Nobody knows how many of the photos to come are none of plants: both classes count alike."""


def leave_each_out(samples: Sequence[Sample], train: Trainer, together: Together = ()) -> Unseen:
    """Score each source's own photos by a model that was trained without its unit.

    Args:
        samples: of the recipe.
        train: fits and scores.
        together: sources that are left out together.
    """
    photos = np.array([n for n, sample in enumerate(samples) if sample.kind == "photo"])
    sources = np.array([samples[n].sources[0] for n in photos])
    logits, margins = np.zeros(len(photos), np.float32), np.zeros(len(photos), np.float32)
    units = units_of(sources.tolist(), together)
    for unit in track(units, len(units), "Leaving sources out"):
        own = np.flatnonzero(np.isin(sources, sorted(unit)))
        logits[own], margins[own] = train(unit, photos[own])
    return Unseen(
        sources,
        np.array([samples[n].plant for n in photos]),
        sigmoid(logits)[None],
        margins,
        np.array([samples[n].measured_only for n in photos]),
        together,
    )
