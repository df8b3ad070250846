"""Leave-one-source-out: what the recipe is worth on cameras and fields that it has not seen.

One training per source: nothing of the source is in it, neither its photos, nor what was cut from
them, nor their grounds; collections that share a table and a camera are left out together.
(Leaving out a plant source *and* an other source at once needs half the trainings, but flatters:
bare soil is judged more mildly by a model that never saw seedlings.)

By these scores P(plant) is calibrated and the threshold is chosen. What is told of a source is by a
calibration and a threshold that were chosen without it, and photos of the test split take no part
in any choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plantood.model.calibration import sigmoid
from plantood.training.judging.calibration import FittedCalibration, fit_calibration
from plantood.training.judging.threshold import ChosenThreshold, choose_threshold
from plantood.training.judging.unseen import Accepted, accepted_shares
from plantood.training.process.progress import track
from plantood.training.recipe.samples import Sample

Said = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits of P(plant) ``[n]``, and margins by a memory ``[n]``."""
Trainer = Callable[[frozenset[str], NDArray[np.intp]], Said]
"""Left-out sources and rows to score, to what a model says that was trained on all the rest."""

SHARE_OF_OTHERS = 0.5
"""Of the photos to come, which nobody knows: both classes count alike."""


@dataclass(frozen=True)
class Rule:
    """How the logits of a probe become a verdict."""

    calibration: FittedCalibration
    threshold: ChosenThreshold

    def remembering(self, pictures: int) -> Rule:
        """The same for a memory of so many pictures."""
        return replace(self, calibration=self.calibration.remembering(pictures))


@dataclass(frozen=True)
class Unseen:
    """The photos of a recipe, each judged by a model that has not seen its source."""

    sources: NDArray[np.str_]
    plant: NDArray[np.bool_]
    """Labels ``[N]``."""
    probabilities: NDArray[np.float64]
    """P(plant) as the probe gives it, ``[N]``."""
    margins: NDArray[np.float32]
    """How much nearer the plants are that the probe was fitted to than the others, ``[N]``."""
    test: NDArray[np.bool_]
    """Photos ``[N]`` by which nothing is chosen."""

    def rule(self, without: frozenset[str] = frozenset()) -> Rule:
        """Calibration and threshold by all photos that may choose; sources count alike.

        Args:
            without: sources that have no say.

        Raises:
            ValueError: no photo is left.
        """
        chosen = ~self.test & ~np.isin(self.sources, sorted(without))
        labels, sources = self.plant[chosen], self.sources[chosen].tolist()
        calibration = fit_calibration(
            labels, self.probabilities[chosen], sources=sources, margins=self.margins[chosen]
        )
        threshold = choose_threshold(
            labels,
            calibration.apply(self.probabilities[chosen], self.margins[chosen]),
            share_of_others=SHARE_OF_OTHERS,
            sources=sources,
        )
        return Rule(calibration, threshold)

    def accepted(self, units: Sequence[frozenset[str]]) -> list[Accepted]:
        """Every source by a rule that was chosen without its unit.

        Args:
            units: of sources that are left out together; each source is in one.
        """
        shares = []
        for unit in units:
            rule = self.rule(unit)
            mine = np.isin(self.sources, sorted(unit))
            shares += accepted_shares(
                self.plant[mine],
                rule.calibration.apply(self.probabilities[mine], self.margins[mine]),
                self.sources[mine].tolist(),
                rule.threshold.threshold,
            )
        return shares


def units_of(sources: Sequence[str], together: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """The sources in order of their names, those that belong together as one unit."""
    unit = {name: group for group in together for name in group}
    return list(dict.fromkeys(unit.get(name, frozenset({name})) for name in sorted(set(sources))))


def leave_each_out(
    samples: Sequence[Sample], train: Trainer, together: Sequence[frozenset[str]] = ()
) -> Unseen:
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
        sigmoid(logits),
        margins,
        np.array([samples[n].measured_only for n in photos]),
    )
