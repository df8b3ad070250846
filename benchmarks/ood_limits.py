"""What a limit does beside the threshold of P(plant), on sources never seen."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.ood_detectors import DETECTORS
from benchmarks.ood_folds import Fold
from plantood.training.common.intervals import mean
from plantood.training.common.tables import markdown

LIMIT = 0.99
"""Share of the plants that are to be within a limit, those that it is chosen on."""
SCALES = "known plants", "plants of other sources left out"
"""On which a limit may be chosen."""
SERVED = "plants against others, by the memory"
"""What a gate that is served adds to its logit."""


def limit_of(every: list[Fold], fold: Fold, name: str, scale: str) -> float:
    """That of one detector for one fold: `LIMIT` of the plants are within it.

    Of the known ones of the test split, or of those that the other folds left out, each source
    alike.
    """
    if scale == SCALES[0]:
        return float(np.quantile(fold.of(name, fused=False)[1][fold.known.plant], LIMIT))
    parts = [
        other.of(name, fused=False)[0][other.left_out.source == source]
        for other in every
        if other is not fold
        for source in other.sources
        if other.has_plants(source)
    ]
    weights = np.concatenate([np.full(len(part), 1 / len(part)) for part in parts])
    scores = np.concatenate(parts)
    return float(np.quantile(scores, LIMIT, weights=weights, method="inverted_cdf"))


def accepted_by_unit(
    every: list[Fold], accepted: list[NDArray[np.bool_]], *, plants: bool
) -> NDArray[np.float64]:
    """Share of a class that is accepted of each unit, the mean of its sources.

    Args:
        every: the folds.
        accepted: of what each left out.
        plants: which class.
    """
    shares = [
        [
            np.mean(mine[fold.left_out.source == source])
            for source in fold.sources
            if fold.has_plants(source) == plants
        ]
        for fold, mine in zip(every, accepted, strict=True)
    ]
    return np.array([np.mean(unit) for unit in shares if unit])


def limit_at(every: list[Fold], scores: list[NDArray], part: float) -> float:
    """The highest score up to which, on average over units, at most so many others are accepted.

    Args:
        every: the folds.
        scores: of what each left out; lower is more familiar. One limit holds for all.
        part: of the others.
    """
    others = zip(every, scores, strict=True)
    found = np.unique(np.concatenate([score[~fold.left_out.plant] for fold, score in others]))

    def accepts(limit: float) -> float:
        within = [score <= limit for score in scores]
        return float(accepted_by_unit(every, within, plants=False).mean())

    low, high = 0, len(found)  # the more is accepted the higher the limit
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if accepts(found[middle]) <= part else (low, middle)
    return float(found[low - 1]) if low else -np.inf


def same_false_accepts(every: list[Fold], scores: list[NDArray], part: float) -> NDArray:
    """Share of plants kept of each unit, where on average so many others are let through."""
    limit = limit_at(every, scores, part)
    return accepted_by_unit(every, [score <= limit for score in scores], plants=True)


def switched_on(every: list[Fold]) -> str:
    """What a limit beside the threshold of P(plant) does to sources never seen.

    Beside the logit, accepted from 0 on; and beside the logit with what the memory says, as a gate
    is served, accepted from where as many others are let through.
    """
    logits = [fold.scores["logit"][: len(fold.left_out)] for fold in every]
    served = [fold.of(SERVED, fused=True)[0] for fold in every]
    others = accepted_by_unit(every, [score <= 0 for score in logits], plants=False).mean()
    rows = []
    for what, scores, limit, scales in (
        ("logit", logits, 0.0, SCALES),
        ("logit + memory", served, limit_at(every, served, float(others)), SCALES[1:]),
    ):
        without = [score <= limit for score in scores]
        for name, scale in product(DETECTORS, scales):
            if name in ("logit", "energy"):
                continue
            both = [
                mine & (fold.of(name, fused=False)[0] <= limit_of(every, fold, name, scale))
                for fold, mine in zip(every, without, strict=True)
            ]
            columns = [
                accepted_by_unit(every, accepted, plants=plants)
                for plants in (True, False)
                for accepted in (without, both)
            ]
            columns.append(same_false_accepts(every, scores, float(columns[-1].mean())))
            rows.append([what, name, scale, *map(mean, columns)])
    header = ["beside", "limit on", "chosen on", "plants kept without", "with"]
    header += ["false accepts without", "with", "plants kept by a higher threshold instead"]
    return markdown(header, rows)
