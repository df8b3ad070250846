"""Leave-one-source-out: what the recipe is worth on cameras and fields that it has not seen.

One training per source: nothing of the source is in it, neither its photos, nor what was cut from
them, nor their grounds. (Leaving out a plant source *and* an other source at once needs half the
trainings, but flatters: bare soil is judged more mildly by a model that never saw seedlings.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.progress import track
from plantood.training.starter.plan import Sample

Scores = Mapping[str, NDArray[np.float32]]
"""Source to the logits of its photos, from a model that has not seen the source."""
Trainer = Callable[[frozenset[str], NDArray[np.intp]], NDArray[np.float32]]
"""Left-out sources and rows to score, to the logits of a model trained on all the rest."""


@dataclass(frozen=True)
class Transfer:
    """Shares of the photos accepted, source by source, at one threshold on P(plant)."""

    threshold: float
    kept: dict[str, float]
    """Plant sources; 1 is best."""
    false_accepts: dict[str, float]
    """Other sources; 0 is best."""

    @property
    def mean_kept(self) -> float:
        """Every source alike."""
        return float(np.mean(list(self.kept.values())))

    @property
    def mean_false_accepts(self) -> float:
        """Every source alike."""
        return float(np.mean(list(self.false_accepts.values())))

    def cost(self, false_accept: float = 3.0, false_retake: float = 1.0) -> float:
        """Expected cost of a photo: a false accept costs three false retakes."""
        return false_accept * self.mean_false_accepts + false_retake * (1.0 - self.mean_kept)


def leave_out_scores(
    samples: Sequence[Sample], train: Trainer, sources: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Logits of each source's own photos, from a model that was trained without the source."""
    scores: dict[str, NDArray[np.float32]] = {}
    for source in track(sources, len(sources), "Leaving sources out"):
        own = [n for n, s in enumerate(samples) if s.kind == "photo" and s.sources == (source,)]
        scores[source] = train(frozenset((source,)), np.array(own))
    return scores


def transfer(scores: Scores, plants: frozenset[str], threshold: float) -> Transfer:
    """The figures of all sources at ``threshold`` (0..1)."""
    cut = np.log(threshold / (1.0 - threshold))
    accepted = {name: float(np.mean(logits > cut)) for name, logits in scores.items()}
    return Transfer(
        threshold,
        {name: share for name, share in accepted.items() if name in plants},
        {name: share for name, share in accepted.items() if name not in plants},
    )


def best_threshold(scores: Scores, plants: frozenset[str]) -> float:
    """The threshold of least :meth:`Transfer.cost`; the middle one where several are as good."""
    candidates = 1.0 / (1.0 + np.exp(-np.linspace(-3.0, 3.0, 121)))
    costs = np.array([transfer(scores, plants, float(t)).cost() for t in candidates])
    best = np.flatnonzero(costs <= costs.min() + 0.002)
    return float(candidates[best[len(best) // 2]])
