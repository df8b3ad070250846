"""Leave-one-source-out: what the recipe is worth on cameras and fields that it has not seen.

One training per source: nothing of the source is in it, neither its photos, nor what was cut from
them, nor their grounds. (Leaving out a plant source *and* an other source at once needs half the
trainings, but flatters: bare soil is judged more mildly by a model that never saw seedlings.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantood.training.judging.threshold import FALSE_ACCEPT_COST, FALSE_RETAKE_COST
from plantood.training.judging.unseen import Accepted, accepted_shares, mean_share
from plantood.training.process.progress import track
from plantood.training.recipe.samples import Sample

Trainer = Callable[[frozenset[str], NDArray[np.intp]], NDArray[np.float32]]
"""Left-out sources and rows to score, to the logits of a model trained on all the rest."""


@dataclass(frozen=True)
class Unseen:
    """The photos of a recipe, each judged by a model that has not seen its source."""

    sources: list[str]
    plant: NDArray[np.bool_]
    """Labels ``[N]``."""
    probabilities: NDArray[np.float64]
    """P(plant), ``[N]``."""

    def accepted(self, threshold: float) -> list[Accepted]:
        """Every source at ``threshold`` (0..1)."""
        return accepted_shares(self.plant, self.probabilities, self.sources, threshold)


def leave_each_out(samples: Sequence[Sample], train: Trainer) -> Unseen:
    """Score each source's own photos by a model that was trained without the source."""
    photos = np.array([n for n, sample in enumerate(samples) if sample.kind == "photo"])
    sources = [samples[n].sources[0] for n in photos]
    logits = np.zeros(len(photos))
    names = sorted(set(sources))
    for source in track(names, len(names), "Leaving sources out"):
        own = np.flatnonzero(np.array(sources) == source)
        logits[own] = train(frozenset((source,)), photos[own])
    plant = np.array([samples[n].plant for n in photos])
    return Unseen(sources, plant, 1.0 / (1.0 + np.exp(-logits)))


def cost(shares: Sequence[Accepted]) -> float:
    """Expected cost of a photo, in false retakes, if both classes and all sources are alike."""
    kept, wrong = mean_share(shares, "plant"), mean_share(shares, "other")
    return FALSE_ACCEPT_COST * wrong + FALSE_RETAKE_COST * (1.0 - kept)


def best_threshold(unseen: Unseen) -> float:
    """The threshold of least :func:`cost`; the middle one where several are as good."""
    candidates = 1.0 / (1.0 + np.exp(-np.linspace(-3.0, 3.0, 121)))
    costs = np.array([cost(unseen.accepted(float(t))) for t in candidates])
    best = np.flatnonzero(costs <= costs.min() + 0.002)
    return float(candidates[best[len(best) // 2]])
