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

from plantood.model.entry import GateModel
from plantood.model.parts.calibration import Calibration
from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.calibration import FittedCalibration, fit_calibration
from plantood.training.judging.decision.rule import VALIDATION, Rule
from plantood.training.judging.decision.threshold import (
    FEWEST,
    ChosenThreshold,
    bayes_threshold,
)
from plantood.training.judging.evaluation import Evaluation
from plantood.training.judging.outcomes import share_shift
from plantood.training.train.judged import by_rule, calibrated


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
) -> tuple[Evaluation, Evaluation]:
    """Parent and child with calibration and threshold by one rule.

    Args:
        before: the parent, by what its scorer gives without its calibration.
        after: the child, likewise.
        costs: of the errors.
        own: the parent's rule, if it was chosen on sources left out.
    """
    if own is None:
        return calibrated(before, costs), calibrated(after, costs)
    moved = own.moved(costs)
    of_parent, of_child = _line(before), _line(after)
    line = of_parent.calibration
    behind = moved.calibration.after(Calibration(1 / line.slope, -line.intercept / line.slope))
    return _by_rule(before, moved, of_parent, behind), _by_rule(after, moved, of_child, behind)


def weights_notes(after: Evaluation, weights: tuple[float, float]) -> list[str]:
    """That validation could not tell what the weights of the loss have moved; one sentence if so.

    They scale the odds of a head that is fitted anew by their ratio, and those of a child, which is
    drawn to its parent, by less: how much less only photos tell.

    Args:
        after: the child, as :func:`judged_alike` gives it.
        weights: of false accepts and false retakes in the loss that it was trained with.
    """
    accept, retake = weights
    fitted = after.calibration
    if accept == retake or fitted is None or fitted.log_loss:
        return []
    errors = "send more plants back" if accept > retake else "let more others through"
    return [
        f"What the weights of the loss, {accept:g} and {retake:g}, have moved is not taken out of "
        f"P(plant): that takes validation photos of at least {FEWEST} scenes of each class, which "
        f"the child tells apart, and there are {fitted.plants} plants and {fitted.others} others. "
        f"So the child may {errors} than it should; add photos, or train with --loss bce."
    ]


def _line(raw: Evaluation) -> FittedCalibration:
    """What makes the logits straight on validation photos: of both gates in the same way."""
    val = raw.splits["val"]
    scenes = raw.scenes("val").tolist()
    return fit_calibration(val.labels, val.probabilities, groups=scenes, methods=("platt",))


def _by_rule(
    raw: Evaluation, own: ParentRule, line: FittedCalibration, behind: Calibration
) -> Evaluation:
    """By the parent's rule, behind the line of its own that a gate has."""
    fitted = replace(
        line,
        calibration=behind.after(line.calibration),
        share_of_others=own.threshold.share_of_others,
    )
    share = own.threshold.share_of_others if own.share_given else None
    return by_rule(raw, Rule(0, fitted, own.threshold), own.chosen_on, share)
