"""By what parent and child are judged: one rule, of validation photos or the parent's own.

Validation photos are of sources that both know. A parent whose calibration and threshold were
chosen on sources that were left out is less sure of what is new, and its child must not become
surer by being judged on what it knows. So what validation photos give for the parent and for the
child serves only to bring the child's logits to where the parent's are, and the parent's own
calibration and threshold come behind. Of a child that learned nothing they are what they were.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from plantood.model.calibration import Calibration
from plantood.model.entry import GateModel
from plantood.training.common.settings import CostSettings
from plantood.training.judging.evaluation import Evaluation
from plantood.training.judging.rule import VALIDATION, Rule
from plantood.training.judging.threshold import ChosenThreshold, bayes_threshold
from plantood.training.train.judged import by_rule, judged


@dataclass(frozen=True)
class ParentRule:
    """Calibration and threshold that were chosen on sources left out."""

    calibration: Calibration
    """Of the logit that the scorer gives without it, margin and all."""
    threshold: ChosenThreshold
    chosen_on: str
    """In words."""

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
        return cls(line, ChosenThreshold(**figures["chosen_threshold"]), chosen_on)

    def moved(self, costs: CostSettings) -> ParentRule:
        """The same for other costs, and another share of others."""
        asked, had = costs.share_of_others, self.threshold.share_of_others
        line = self.calibration
        if asked is not None:
            shift = math.log((1 - asked) / asked) - math.log((1 - had) / had)
            line = replace(line, intercept=line.intercept + shift)
        same = costs.false_accept_cost * self.threshold.false_retake_cost == (
            costs.false_retake_cost * self.threshold.false_accept_cost
        )
        bayes = bayes_threshold(costs.false_accept_cost, costs.false_retake_cost)
        threshold = replace(
            self.threshold,
            threshold=self.threshold.threshold if same else bayes,
            false_accept_cost=costs.false_accept_cost,
            false_retake_cost=costs.false_retake_cost,
            share_of_others=had if asked is None else asked,
            carried_over=True,
        )
        return replace(self, calibration=line, threshold=threshold)


def judged_alike(
    before: Evaluation, after: Evaluation, costs: CostSettings, own: ParentRule | None
) -> tuple[Evaluation, Evaluation]:
    """Parent and child with calibration and threshold by one rule.

    Args:
        before: the parent, by what its scorer gives without its calibration.
        after: the child, likewise.
        costs: of the errors.
        own: the parent's rule, if it was chosen on sources left out.
    """
    first, second = judged(before, costs), judged(after, costs)
    if own is None:
        return first, second
    assert first.calibration is not None
    of_parent = first.calibration.calibration
    back = Calibration(1 / of_parent.slope, -of_parent.intercept / of_parent.slope)
    moved = own.moved(costs)
    behind = moved.calibration.after(back)
    return _carried(first, behind, moved, costs), _carried(second, behind, moved, costs)


def _carried(
    made: Evaluation, behind: Calibration, own: ParentRule, costs: CostSettings
) -> Evaluation:
    """The same gate by the parent's rule behind its own line."""
    assert made.calibration is not None
    line = behind.after(made.calibration.calibration)
    rule = Rule(0, replace(made.calibration, calibration=line), own.threshold)
    raw = replace(made, splits=made.uncalibrated)
    return by_rule(raw, rule, own.chosen_on, costs.share_of_others)
