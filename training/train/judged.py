"""What a head's scores become: calibrated, with a bound on false accepts, and told in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from plantood.training.common.settings import CostSettings, GuaranteeSettings
from plantood.training.judging.decision.calibration import fit_calibration
from plantood.training.judging.decision.guarantee import guaranteed_threshold
from plantood.training.judging.decision.rule import LEFT_OUT, VALIDATION, Rule
from plantood.training.judging.decision.threshold import ChosenThreshold, choose_threshold
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.photos.dataset import scenes_of

NOTHING = GuaranteeSettings()
"""Is promised of false accepts."""
SHOWN = ("share of others", "threshold")
"""Those of :func:`judged_facts` that the terminal has, too."""


def calibrated(
    evaluation: Evaluation,
    costs: CostSettings,
    weights: tuple[float, float] = (1.0, 1.0),
    guarantee: GuaranteeSettings = NOTHING,
) -> Evaluation:
    """An evaluation of raw scores, calibrated, with the threshold of the costs and of the promise.

    Chosen on photos of sources that were left out, if there are enough, else on validation photos.

    Args:
        evaluation: with the network's own P(plant).
        costs: of the errors, and the share of others to calibrate for.
        weights: of false accepts and false retakes in the loss.
        guarantee: what is to be promised of false accepts.
    """
    if evaluation.unseen is None or not evaluation.unseen.enough:
        val = evaluation.splits["val"]
        rule = rule_of_validation(val, costs, weights, evaluation.groups)
        chosen_on = VALIDATION
    else:
        rule, chosen_on = evaluation.unseen.rule(costs, weights), LEFT_OUT
    ruled = by_rule(evaluation, rule, chosen_on, costs.share_of_others)
    return with_guarantee(ruled, guarantee)


def by_rule(
    evaluation: Evaluation, rule: Rule, chosen_on: str, share_of_others: float | None
) -> Evaluation:
    """An evaluation of raw scores, calibrated and with a threshold by a rule.

    Args:
        evaluation: with the network's own P(plant).
        rule: calibration and threshold.
        chosen_on: what these were chosen on, in words.
        share_of_others: that figures are of; None: of the photos as they are.
    """
    return replace(
        evaluation,
        splits={
            name: replace(
                scored, probabilities=rule.calibration.apply(scored.probabilities, scored.margins)
            )
            for name, scored in evaluation.splits.items()
        },
        uncalibrated=evaluation.splits,
        calibration=rule.calibration,
        share_of_others=share_of_others,
        threshold=rule.threshold.threshold,
        details={
            **evaluation.details,
            "chosen_threshold": rule.threshold.as_dict(),
            "chosen_on": chosen_on,
        },
    )


def rule_of_validation(
    val: Scored, costs: CostSettings, weights: tuple[float, float], groups: Mapping[str, int]
) -> Rule:
    """Calibration and threshold by validation photos, before calibration; scenes count as one."""
    scenes = scenes_of(val.photos, groups)
    fitted = fit_calibration(
        val.labels,
        val.probabilities,
        share_of_others=costs.share_of_others,
        weights=weights,
        groups=scenes,
    )
    calibrated = fitted.apply(val.probabilities)
    chosen = choose_threshold(val.labels, calibrated, **costs.as_dict(), groups=scenes)
    return Rule(0, fitted, chosen)


def with_guarantee(evaluation: Evaluation, guarantee: GuaranteeSettings) -> Evaluation:
    """The evaluation with a threshold high enough for what is to be promised of false accepts.

    By its test split: only these photos had no part in when training stopped and which head was
    taken. If they cannot carry the promise, the threshold stays and `Evaluation.guarantee` says so.
    """
    if guarantee.max_false_accept is None:
        return evaluation
    test = evaluation.splits.get("test", Scored((), np.zeros(0, np.float32)))
    promised = guaranteed_threshold(
        test.labels,
        test.probabilities,
        max_false_accept=guarantee.max_false_accept,
        confidence=guarantee.confidence,
        scenes=scenes_of(test.photos, evaluation.groups),
        at_least=evaluation.threshold,
    )
    threshold = evaluation.threshold if promised.served is None else promised.served
    return replace(evaluation, guarantee=promised, threshold=threshold)


def threshold_notes(evaluation: Evaluation) -> list[str]:
    """What a reader must know of how a threshold was chosen: too few photos, and what is promised.

    Args:
        evaluation: with a chosen threshold.
    """
    chosen = ChosenThreshold.of(evaluation.details["chosen_threshold"])
    # Without a confusion it is of the costs alone, in the place of a parent's.
    notes = [chosen.warning] if chosen.warning and chosen.confusion else []
    if evaluation.guarantee is not None:
        notes.append(evaluation.guarantee.in_words("test"))
    return notes


def judged_facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """By what photos are judged: threshold, share of others and calibration, in words."""
    chosen, chosen_on = evaluation.details["chosen_threshold"], evaluation.details["chosen_on"]
    fitted, kept = evaluation.calibration, chosen.get("carried_over", False)
    as_in = "as its parent's" if kept else f"as in {chosen_on}"
    given = "as given" if evaluation.share_of_others else as_in
    rests = f"from {ChosenThreshold.of(chosen).rests} of {chosen_on}"
    if kept:
        moved = "Bayes' of the costs, which the rule of its parent was not chosen for"
        rests = f"by the rule of its parent, {rests}" if chosen["confusion"] else moved
    if evaluation.threshold > chosen["threshold"]:
        rests += ", raised for what is promised of false accepts"
    facts = [
        ("share of others", f"{chosen['share_of_others']:.1%}, {given}"),
        ("threshold", f"{evaluation.threshold:.4f}, {rests}"),
    ]
    if fitted is None:
        return facts
    line = fitted.calibration
    words = (
        "that of its parent, behind what brings its logits to where its parent's are (slope "
        f"{line.slope:.3f}, intercept {line.intercept:.3f})"
        if kept
        else fitted.in_words()
    )
    return [*facts, ("calibration", words)]
