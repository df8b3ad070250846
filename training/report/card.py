"""The model card in Markdown: what a gate is for, what it saw, how it did, where it fails.

Fields after Mitchell et al. 2019, *Model Cards for Model Reporting*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plantood.training.common.tables import (
    calibration_table,
    figures_table,
    markdown,
    source_table,
)
from plantood.training.judging.decision.guarantee import Guarantee
from plantood.training.judging.decision.rule import VALIDATION

INTENDED_USE = """\
A gate in front of a plant-disease detector: it judges whether a farmer's photo shows a plant that
can be diagnosed, and asks for another photo if not. Positive class: plant (1); everything else is
other (0). It does not diagnose, does not name species, and is not a measure of photo quality."""

LIMITS = """\
- Each source is one camera, one place, one background. Figures on the test split hold for photos
  like those; for cameras and fields never seen, look at leave-one-source-out figures instead.
- P(plant) is calibrated for photos like those that it was calibrated on; the table has its error.
- The threshold was chosen for the stated costs; with other costs or another share of bad photos
  choose it again."""


def model_card(
    figures: Mapping[str, Any],
    *,
    backbone: str,
    weights: str,
    head: str,
    counts: Sequence[Mapping[str, str | int]],
    bad: int,
    left_out: Sequence[str] = (),
    unseen: Sequence[Sequence[str]] = (),
    parent: str | None = None,
    notes: str = "",
) -> str:
    """The card.

    Args:
        figures: of `plantood.training.judging.evaluation.Evaluation.figures`.
        backbone: its name.
        weights: where its weights came from.
        head: its name.
        counts: photos by source and split, of `plantood.training.photos.dataset.Dataset.counts`.
        bad: number of files that could not be used.
        left_out: sources that were set aside.
        unseen: header and rows of a leave-one-source-out table, if one was measured.
        parent: tag that it was fine-tuned from.
        notes: more, in Markdown: where data and weights come from, and under which licence.
    """
    chosen = figures.get("chosen_threshold", {})
    data_header = list(counts[0]) if counts else []
    data_rows = [[str(value) for value in row.values()] for row in counts]
    parts = [
        f"# Gate model: {backbone}, head {head}",
        f"## Intended use\n\n{INTENDED_USE}",
        f"## Model\n\nBackbone {backbone} (weights: {weights}), head {head}"
        + (f", fine-tuned from {parent}" if parent else "")
        + ".\n\n"
        + _training(figures),
        "## Training data\n\n"
        + markdown(data_header, data_rows)
        + f"\n\n{bad} files could not be used."
        + (f" Left out on purpose: {', '.join(left_out)}." if left_out else ""),
        "## Metrics\n\n" + markdown(*figures_table([figures])),
    ]
    parts += [
        f"### By source, {split}\n\n" + markdown(*source_table([figures], split))
        for split in figures["splits"]
        if split != "val"
    ]
    if unseen:
        parts.append("### Sources never seen\n\n" + markdown(unseen[0], unseen[1:]))
    if chosen:
        parts.append(f"## Threshold\n\n{_threshold(figures)}")
    if "calibration" in figures:
        parts.append(
            f"## Calibration\n\n{_calibration(figures)}. Calibration error before and after:\n\n"
            + markdown(*calibration_table([figures]))
        )
    parts.append(f"## Limits\n\n{LIMITS}")
    if notes:
        parts.append(f"## Notes\n\n{notes.strip()}")
    return "\n\n".join(parts) + "\n"


def _training(figures: Mapping[str, Any]) -> str:
    settings = figures.get("settings", {})
    listed = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
    tuned = "kept" if figures.get("tuned") else "not kept (no lower validation loss)"
    if not settings.get("fine_tune_epochs"):
        tuned = "not run"
    return f"Training: {listed}. Second phase, backbone unfrozen: {tuned}."


def _calibration(figures: Mapping[str, Any]) -> str:
    """How it was chosen, and on what."""
    made = figures["calibration"]
    method, photos = made["method"], f"{made['plants']} plants and {made['others']} others of"
    if figures["chosen_threshold"].get("carried_over"):
        return (
            f"That of its parent, on {figures['chosen_on']}, behind what brings its logits to "
            f"where its parent's are ({method}, on {photos} {VALIDATION})"
        )
    return f"Method {method}, on {photos} {figures['chosen_on']}"


def _threshold(figures: Mapping[str, Any]) -> str:
    """What it is, how it was chosen, on what, for which share of others, what is promised of it."""
    chosen, promised = figures["chosen_threshold"], figures.get("guarantee")
    costs = (
        f"{chosen['threshold']:.4f}, with a false accept at {chosen['false_accept_cost']:g} and a "
        f"false retake at {chosen['false_retake_cost']:g}"
    )
    photos = (
        f"the {chosen['plants']} plants and {chosen['others']} others of {figures['chosen_on']}"
    )
    kept = chosen.get("carried_over", False)
    if not kept:
        text = (
            f"{costs}: as near to {chosen['towards']:.4g} as is at most "
            f"{chosen['standard_errors']:g} standard error costlier than the cheapest one, on "
            f"{photos}: {_confusion(chosen['confusion'])}."
        )
    elif chosen["confusion"]:
        text = f"{costs}, by the rule of its parent, which was chosen on {photos}."
    else:
        text = (
            f"{costs}: Bayes' of these costs, since the rule of its parent was chosen for others, "
            f"on {photos}."
        )
    share = chosen["share_of_others"]
    given = "as its parent's" if kept else "as in these photos"
    if "share_of_others" in figures:
        given = "as was given"
    text += f" The share of others is taken to be {share:.1%}, {given}."
    if promised:
        text += "\n\n" + Guarantee.of(promised).in_words("the test split")
    if figures["threshold"] > chosen["threshold"]:
        text += f"\n\nFor that it is raised to {figures['threshold']:.4f}."
    return text


def _confusion(confusion: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}s" for name, count in confusion.items())
