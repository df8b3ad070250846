"""The rule of a gate, calibration and threshold, by photos of sources that its model has not seen.

What is told of a source is by a rule that was chosen without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.calibration import FittedCalibration, fit_calibration
from plantood.training.judging.decision.threshold import ChosenThreshold, choose_threshold
from plantood.training.judging.metrics import cross_entropy
from plantood.training.judging.outcomes import source_weights
from plantood.training.judging.unseen import Accepted, accepted_shares
from plantood.training.photos.division.units import (
    Together,
    fewest_units,
    telling,
    unit_names,
    units_of,
)

FEWEST_SOURCES = 5
"""Of each class, for calibration and threshold. What is learned without one of fewer differs much
from what is learned of all, and is far less sure."""
NONE: frozenset[str] = frozenset()
VALIDATION = "the validation split"  # stored gates have it: it stays as it is
LEFT_OUT = "sources that were left out in turn, in training and validation"
"""What a rule was chosen on, in words."""


@dataclass(frozen=True)
class Rule:
    """How what a model says becomes a verdict."""

    candidate: int
    """Which of the models that were tried."""
    calibration: FittedCalibration
    threshold: ChosenThreshold

    def remembering(self, pictures: int) -> Rule:
        """The same for a memory of so many pictures."""
        return replace(self, calibration=self.calibration.remembering(pictures))


@dataclass(frozen=True)
class Unseen:
    """Photos, each judged by models that have not seen its source."""

    sources: NDArray[np.str_]
    plant: NDArray[np.bool_]
    """Labels ``[N]``."""
    probabilities: NDArray[np.floating]
    """P(plant) as each candidate gives it, ``[K, N]``: models that differ in what was to be chosen,
    such as a penalty."""
    margins: NDArray[np.float32] | None = None
    """How much nearer the plants are that the model was fitted to than the others, ``[N]``."""
    told_only: NDArray[np.bool_] | None = None
    """Photos ``[N]`` by which nothing is chosen."""
    together: Together = ()
    """Sources that are left out together and count as one; see `photos.units`."""

    def only(self, candidate: int) -> Unseen:
        """The same photos with one candidate."""
        return replace(self, probabilities=self.probabilities[candidate : candidate + 1])

    @property
    def fewest(self) -> int:
        """Of how many sources the photos of that class are that choose, and are of the fewest."""
        mine = self._choosing(NONE)
        return fewest_units(self.plant[mine], self.sources[mine].tolist(), self.together)

    @property
    def enough(self) -> bool:
        """Whether calibration and threshold can be chosen by these sources."""
        return self.fewest >= FEWEST_SOURCES

    def losses(
        self, costs: CostSettings, weights: tuple[float, float], without: frozenset[str] = NONE
    ) -> list[float]:
        """Loss of each candidate: sources count alike, and others are as common as is expected.

        Args:
            costs: for the share of others.
            weights: of false accepts and false retakes in the loss.
            without: sources that have no say.
        """
        mine = self._choosing(without)
        plant, share = self.plant[mine], self._share(costs, mine)
        counting = source_weights(plant, self.sources[mine].tolist())
        counting *= np.where(plant, 2 * (1 - share) * weights[1], 2 * share * weights[0])
        return [
            float(np.mean(counting * cross_entropy(plant, candidate[mine])))
            for candidate in self.probabilities
        ]

    def rule(
        self,
        costs: CostSettings,
        weights: tuple[float, float] = (1.0, 1.0),
        without: frozenset[str] = NONE,
    ) -> Rule:
        """The candidate of least loss, its calibration and its threshold; sources count alike.

        Args:
            costs: of the errors, and the share of others; by default that in these photos.
            weights: of false accepts and false retakes in the loss that was trained with.
            without: sources that have no say.

        Raises:
            ValueError: no photo is left.
        """
        candidate = int(np.argmin(self.losses(costs, weights, without)))
        mine = self._choosing(without)
        labels, sources = self.plant[mine], self.sources[mine].tolist()
        probabilities = self.probabilities[candidate][mine]
        margins = None if self.margins is None else self.margins[mine]
        share, units = self._share(costs, mine), unit_names(sources, self.together)
        calibration = fit_calibration(
            labels,
            probabilities,
            share_of_others=share if 0 < share < 1 else None,
            weights=weights,
            sources=sources,
            groups=units,
            margins=margins,
        )
        threshold = choose_threshold(
            labels,
            calibration.apply(probabilities, margins),
            **costs.as_dict() | {"share_of_others": share},
            sources=sources,
            groups=units,
        )
        return Rule(candidate, calibration, threshold)

    def judged(self, rule: Rule, mine: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Calibrated P(plant) of some of the photos, by a rule; ``mine`` is ``[N]``."""
        margins = None if self.margins is None else self.margins[mine]
        return rule.calibration.apply(self.probabilities[rule.candidate][mine], margins)

    def accepted(
        self, costs: CostSettings, weights: tuple[float, float] = (1.0, 1.0)
    ) -> list[Accepted]:
        """Every source by a rule that was chosen without its unit.

        Args:
            costs: as for :meth:`rule`.
            weights: as for :meth:`rule`.
        """
        shares = []
        for mine, rule in self._ruled(costs, weights):
            shares += self.accepted_by(rule, mine)
        return shares

    def accepted_by(self, rule: Rule, mine: NDArray[np.bool_]) -> list[Accepted]:
        """Every source of some of the photos, by one rule; ``mine`` is ``[N]``."""
        return accepted_shares(
            self.plant[mine],
            self.judged(rule, mine),
            self.sources[mine].tolist(),
            rule.threshold.threshold,
        )

    def calibrated(
        self, costs: CostSettings, weights: tuple[float, float] = (1.0, 1.0)
    ) -> NDArray[np.float32]:
        """Calibrated P(plant) of all photos, ``[N]``, each by a rule chosen without its unit.

        Args:
            costs: as for :meth:`rule`.
            weights: as for :meth:`rule`.
        """
        p = np.zeros(len(self.plant), np.float32)
        for mine, rule in self._ruled(costs, weights):
            p[mine] = self.judged(rule, mine)
        return p

    def _ruled(
        self, costs: CostSettings, weights: tuple[float, float]
    ) -> Iterator[tuple[NDArray[np.bool_], Rule]]:
        """Photos of each unit ``[N]``, and the rule that was chosen without it."""
        for unit in units_of(self.sources.tolist(), self.together):
            yield np.isin(self.sources, sorted(unit)), self.rule(costs, weights, unit)

    def _choosing(self, without: frozenset[str]) -> NDArray[np.bool_]:
        """Photos ``[N]`` that have a say: none of a source that has hardly any."""
        mine = ~np.isin(self.sources, sorted(without))
        if self.told_only is not None:
            mine &= ~self.told_only
        mine[mine] = telling(self.plant[mine], self.sources[mine].tolist())
        return mine

    def _share(self, costs: CostSettings, mine: NDArray[np.bool_]) -> float:
        """Of others among the photos to come."""
        if costs.share_of_others is not None:
            return costs.share_of_others
        return float(np.mean(~self.plant[mine]))
