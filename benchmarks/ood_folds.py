"""Every source left out once: a head and all detectors, fitted to the photos of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.embedded import Embedded
from benchmarks.ood_detectors import DETECTORS, Known
from plantood.training.fitting.probe import fit_probe
from plantood.training.photos.division.units import units_of
from plantood.training.starter.roles import TOGETHER


@dataclass(frozen=True)
class Fold:
    """One unit left out, judged by what was fitted without it."""

    left_out: Embedded
    known: Embedded
    """The test split of all other sources."""
    scores: dict[str, NDArray[np.float64]]
    """By detector, of the left-out photos and then of the known ones; higher is less familiar."""

    @property
    def sources(self) -> list[str]:
        """Those left out."""
        return np.unique(self.left_out.source).tolist()

    def has_plants(self, source: str) -> bool:
        """Whether a source left out is one of plants."""
        return bool(self.left_out.plant[self.left_out.source == source][0])

    def of(self, name: str, fused: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores of the left-out photos and of the known ones, in standard deviations of these."""
        first = len(self.left_out)

        def standard(score: NDArray[np.float64]) -> NDArray[np.float64]:
            return (score - score[first:].mean()) / score[first:].std()

        score = standard(self.scores[name])
        if fused and name != "logit":
            score = score + standard(self.scores["logit"])
        return score[:first], score[first:]


def units(photos: Embedded) -> list[tuple[str, ...]]:
    """The sources, those that belong together as one."""
    return [tuple(sorted(unit)) for unit in units_of(photos.source.tolist(), TOGETHER)]


def balanced(photos: Embedded) -> NDArray[np.float64]:
    """Weights ``[N]``: both classes alike, each source by the root of its size."""
    weights = np.zeros(len(photos))
    for label in (True, False):
        mine = photos.plant == label
        for name in np.unique(photos.source[mine]):
            of_source = mine & (photos.source == name)
            weights[of_source] = of_source.sum() ** -0.5
        weights[mine] *= 0.5 / weights[mine].sum()
    return weights


def fit_known(photos: Embedded) -> Known:
    """The head of these photos, as the starter's is fitted."""
    weights = balanced(photos)
    probe = fit_probe(photos.embedding, photos.plant, weights)
    return Known(
        photos.embedding.astype(np.float64),
        photos.plant,
        photos.source,
        weights,
        probe.kernel.astype(np.float64),
        probe.bias,
    )


def folds(photos: Embedded) -> Iterator[tuple[Known, Fold]]:
    """Every unit left out once."""
    for unit in units(photos):
        out = np.isin(photos.source, unit)
        test = photos.split == "test"
        known = fit_known(photos.part(~out & ~test))
        left_out, rest = photos.part(out), photos.part(~out & test)
        points = np.concatenate([left_out.embedding, rest.embedding]).astype(np.float64)
        scores = {name: detector(known)(points) for name, detector in DETECTORS.items()}
        yield known, Fold(left_out, rest, scores)
