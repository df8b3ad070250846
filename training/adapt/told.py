"""What is told of an adaptation: its tables, sentences, and the card of the child."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plantood.model.parts.memory import Memory
from plantood.training.adapt.correction.correct import NewPhotos
from plantood.training.adapt.judge import (
    ChildJudgement,
    Figures,
    enough_to_choose,
    remembered_to_choose,
)
from plantood.training.adapt.terms import Terms
from plantood.training.common.intervals import FEWEST as FEWEST_FOR_A_SHARE
from plantood.training.common.tables import Row, markdown
from plantood.training.judging.changes import CELLS, Change
from plantood.training.judging.decision.costs import costs_in_words
from plantood.training.judging.decision.threshold import FEWEST as FEWEST_TO_CHOOSE

CHANGES = ("photos of", *CELLS, "worse")
FIGURES = ("photos of", "figure", "before", "after")
BOTH = (("plants", True), ("others", False))
"""Names of the classes, as photos are labelled."""


@dataclass(frozen=True)
class Told:
    """Sentences for the terminal, the card and the metrics."""

    facts: tuple[str, ...]
    """By what it was judged."""
    notes: tuple[str, ...]
    """What to be wary of, or to do."""


def change_table(judged: ChildJudgement) -> tuple[Row, list[Row]]:
    """Header and rows: what changed, on the new photos and on the memory."""
    return CHANGES, [_change_row(change) for change in (*judged.new, *judged.known)]


def figures_table(judged: ChildJudgement) -> tuple[Row, list[Row]]:
    """Header and rows: what all errors cost, and how far P(plant) can be taken at its word."""
    return FIGURES, [row for figures in judged.figures for row in _figure_rows(figures)]


def _change_row(change: Change) -> Row:
    return [*change.cells(), "worse" if change.worse else ""]


def _figure_rows(figures: Figures) -> list[Row]:
    costs = {
        "cost of the errors, in false retakes": figures.cost,
        "the same, before as it serves": figures.as_served,
    }
    pairs = {
        **{name: (f"{cost.before:.4g}", f"{cost.after:.4g}") for name, cost in costs.items()},
        "log loss": tuple(f"{loss:.3f}" for loss in figures.log_loss),
        "calibration error": tuple(f"{error:.3f}" for error in figures.calibration_error),
    }
    return [[figures.photos, name, *pair] for name, pair in pairs.items()]


def told_of(
    parent: str,
    memory: Memory,
    photos: NewPhotos,
    judged: ChildJudgement,
    *,
    terms: Terms,
    penalty: float,
) -> Told:
    """By what parent and child were judged, and where there is too little to judge by.

    Args:
        parent: its tag.
        memory: of the parent.
        photos: the new ones.
        judged: what came of it.
        terms: by which.
        penalty: of the correction.
    """
    counts = {name: int(np.sum(photos.plant == plant)) for name, plant in BOTH}
    scenes = {name: photos.scenes(plant) for name, plant in BOTH}
    choosing = int(enough_to_choose(photos).sum())
    known = memory.names[remembered_to_choose(memory)]
    facts = (
        f"Compared on {counts['plants']} new plants and {counts['others']} new others, each judged "
        "without it and what looks like it, and on the memory. Thresholds are chosen by "
        f"{choosing} of these photos and {len(known)} remembered ones of {len(set(known))} "
        "sources.",
        f"Threshold, by the same rule for both: {judged.before.threshold:.4f} before, "
        f"{judged.after.threshold:.4f} after; {parent} serves with {terms.served:.4f}.",
        f"Costs: {costs_in_words(terms.costs)}.",
        f"Share of others: {terms.share_of_others:.1%}, {terms.origin}; P(plant), costs and the "
        "figures of all photos are of that.",
        f"Penalty {penalty:g}, by photos left out: the smaller, the further the gate may move.",
    )
    notes = [
        f"{counts[name]} new {name} show {shown} scenes: near-duplicates, and photos of one group, "
        "count as one of them, so the intervals in the table are too narrow."
        for name, shown in scenes.items()
        if shown < counts[name]
    ]
    notes += [
        f"{shown} new {name} are too few to choose by (at least {FEWEST_TO_CHOOSE}): for {name} "
        "the threshold rests on the memory alone."
        for name, shown in scenes.items()
        if shown < FEWEST_TO_CHOOSE
    ]
    if few := [name for name, shown in scenes.items() if shown < FEWEST_FOR_A_SHARE]:
        notes.append(
            f"Fewer than {FEWEST_FOR_A_SHARE} new {' and '.join(few)}: their shares in the table "
            "say little, as the intervals in brackets show."
        )
    if terms.promise:
        notes.append(
            f"{parent} promised {terms.promise}: that does not hold for what it became, whose "
            "threshold was chosen anew."
        )
    return Told(facts, tuple(notes))


def card_of(
    parent: str, card: str, digests: Sequence[str], judged: ChildJudgement, told: Told
) -> str:
    """What was added to the parent, above the parent's own card.

    Args:
        parent: its tag.
        card: its card.
        digests: of the labels of the collections that it learned from.
        judged: what came of it.
        told: the sentences.
    """
    parts = [
        f"# {parent}, adapted",
        f"The network of {parent}, and a linear correction of what its head says that was fitted "
        f"to new photos (labels {', '.join(digests)}) and to what it remembered. The memory was "
        "learned from before and after, so it shows only what was forgotten.",
        *told.facts,
        markdown(*change_table(judged)),
        markdown(*figures_table(judged)),
    ]
    for title, lines in (
        ("To be wary of", told.notes),
        ("What speaks against it", judged.objections),
    ):
        if lines:
            parts.append(f"{title}:\n\n" + "\n".join(f"- {line}" for line in lines))
    parts.append(f"What follows is the card of {parent}: its figures are its own.\n\n{card}")
    return "\n\n".join(parts)
