"""By what parent and child are judged: one rule, of validation photos or the parent's own.

Validation photos are of sources that both know. A parent whose calibration and threshold were
chosen on sources that were left out is less sure of what is new, and its child must not become
surer by being judged on what it knows. So what validation photos give for the parent and for the
child serves only to bring the child's logits to where the parent's are, and the parent's own
calibration and threshold come behind. Of a child that learned nothing they are what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plantood.model.entry import GateModel
from plantood.model.parts.calibration import Calibration
from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.calibration import FittedCalibration, fit_calibration
from plantood.training.judging.decision.rule import VALIDATION, Rule
from plantood.training.judging.decision.threshold import ChosenThreshold, bayes_threshold
from plantood.training.judging.evaluation import Evaluation
from plantood.training.judging.outcomes import share_shift
from plantood.training.photos.dataset import scenes_of
from plantood.training.train.judged import ALONE, by_rule, calibrated


@dataclass(frozen=True)
class ParentRule:
    """Calibration and threshold that were chosen on sources left out."""

    calibration: Calibration
    """Of the logit that the scorer gives without it, margin and all."""
    threshold: ChosenThreshold
    chosen_on: str
    """In words."""
    share_given: bool = False
    """Whether a user gave the share of others that it is for, and so what figures are of."""

    @classmethod
    def of(cls, gate: GateModel) -> ParentRule | None:
        """That of a gate; None if its rule was chosen on validation photos, or nobody knows."""
        return cls.from_figures(gate.metrics, gate.manifest.calibration)

    @classmethod
    def from_figures(
        cls, figures: Mapping[str, Any], calibration: Calibration | None
    ) -> ParentRule | None:
        """As :meth:`of`, of what a gate says of itself."""
        chosen_on = figures.get("chosen_on", VALIDATION)
        if chosen_on == VALIDATION or "chosen_threshold" not in figures:
            return None
        line = replace(calibration or Calibration(), margin=0.0, pictures=0)
        chosen = ChosenThreshold.of(figures["chosen_threshold"])
        # What was promised of false accepts may have raised it.
        served = figures.get("threshold", chosen.threshold)
        carried = replace(chosen, threshold=served, carried_over=True)
        return cls(line, carried, chosen_on, bool(figures.get("share_of_others")))

    def moved(self, costs: CostSettings) -> ParentRule:
        """The same for other costs, and another share of others."""
        asked, had = costs.share_of_others, self.threshold.share_of_others
        line = self.calibration
        if asked is not None:
            line = replace(line, intercept=line.intercept + share_shift(asked, had))
        same = costs.in_proportion(
            self.threshold.false_accept_cost, self.threshold.false_retake_cost
        )
        threshold = replace(
            self.threshold,
            false_accept_cost=costs.false_accept_cost,
            false_retake_cost=costs.false_retake_cost,
            share_of_others=had if asked is None else asked,
        )
        if not same:
            bayes = bayes_threshold(costs.false_accept_cost, costs.false_retake_cost)
            threshold = replace(threshold, threshold=bayes, towards=bayes, confusion={})
        given = self.share_given or asked is not None
        return replace(self, calibration=line, threshold=threshold, share_given=given)


def judged_alike(
    before: Evaluation,
    after: Evaluation,
    costs: CostSettings,
    own: ParentRule | None,
    groups: Mapping[str, int] = ALONE,
) -> tuple[Evaluation, Evaluation]:
    """Parent and child with calibration and threshold by one rule.

    Args:
        before: the parent, by what its scorer gives without its calibration.
        after: the child, likewise.
        costs: of the errors.
        own: the parent's rule, if it was chosen on sources left out.
        groups: of the photos; see :class:`Dataset`.
    """
    if own is None:
        return calibrated(before, costs, groups=groups), calibrated(after, costs, groups=groups)
    moved = own.moved(costs)
    of_parent, of_child = _line(before, groups), _line(after, groups)
    back = Calibration(1 / of_parent.slope, -of_parent.intercept / of_parent.slope)
    behind = moved.calibration.after(back)
    return (
        _by_rule(before, replace(moved, calibration=behind.after(of_parent))),
        _by_rule(after, replace(moved, calibration=behind.after(of_child))),
    )


def _line(raw: Evaluation, groups: Mapping[str, int]) -> Calibration:
    """What makes the logits straight on validation photos: of both gates in the same way."""
    val = raw.splits["val"]
    scenes = scenes_of(val.photos, groups)
    fitted = fit_calibration(val.labels, val.probabilities, groups=scenes, methods=("platt",))
    return fitted.calibration


def _by_rule(raw: Evaluation, own: ParentRule) -> Evaluation:
    val = raw.splits["val"].labels
    plants = int(np.sum(val == 1))
    fitted = FittedCalibration(
        "platt",
        own.calibration,
        plants=plants,
        others=len(val) - plants,
        share_of_others=own.threshold.share_of_others,
    )
    share = own.threshold.share_of_others if own.share_given else None
    return by_rule(raw, Rule(0, fitted, own.threshold), own.chosen_on, share)
