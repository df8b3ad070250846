"""What a head's scores become: calibrated, with a bound on false accepts, and told in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plantood.training.common.settings import GuaranteeSettings
from plantood.training.judging.calibration import fit_calibration
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.guarantee import guaranteed_threshold
from plantood.training.judging.threshold import ChosenThreshold

NOTHING = GuaranteeSettings()
"""Is promised of false accepts."""


def with_calibration(
    evaluation: Evaluation, share_of_others: float | None, weights: tuple[float, float]
) -> Evaluation:
    """An evaluation of the network's own P(plant), calibrated on its validation split.

    Args:
        evaluation: not calibrated.
        share_of_others: of the photos to come, inside (0, 1); None: as in these.
        weights: of false accepts and false retakes in the loss.
    """
    raw = evaluation.splits
    fitted = fit_calibration(
        raw["val"].labels,
        raw["val"].probabilities,
        share_of_others=share_of_others,
        weights=weights,
    )
    return replace(
        evaluation,
        splits={
            name: Scored(scored.photos, fitted.apply(scored.probabilities))
            for name, scored in raw.items()
        },
        uncalibrated=raw,
        calibration=fitted,
        share_of_others=share_of_others,
    )


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
    )
    threshold = max(evaluation.threshold, promised.threshold or 0.0)
    return replace(evaluation, guarantee=promised, threshold=threshold)


def threshold_notes(evaluation: Evaluation) -> list[str]:
    """What a reader must know of how a threshold was chosen: too few photos, and what is promised.

    Args:
        evaluation: with a chosen threshold.
    """
    chosen = ChosenThreshold(**evaluation.details["chosen_threshold"])
    notes = [chosen.warning] if chosen.warning else []
    if evaluation.guarantee is not None:
        notes.append(evaluation.guarantee.in_words("test"))
    return notes


def judged_facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """By what photos are judged: threshold, share of others and calibration, in words."""
    chosen, fitted = evaluation.details["chosen_threshold"], evaluation.calibration
    given = "as given" if evaluation.share_of_others else "as in the validation photos"
    facts = [
        ("share of others", f"{chosen['share_of_others']:.1%}, {given}"),
        (
            "threshold",
            f"{evaluation.threshold:.4f}, from {chosen['plants']} plants and {chosen['others']} "
            "others in validation"
            + (
                ", raised for what is promised of false accepts"
                if evaluation.threshold > chosen["threshold"]
                else ""
            ),
        ),
    ]
    return facts if fitted is None else [*facts, ("calibration", fitted.in_words())]
