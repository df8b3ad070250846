"""A gate before and after it learned: on the new photos, each judged without it, and on its memory.

What it remembers was trained on both before and after, so those figures say what was forgotten, not
how good the gate is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantood.model.calibration import sigmoid
from plantood.model.correction import Correction
from plantood.model.memory import Memory
from plantood.training.adapt.correct import NewPhotos, leave_each_out, memory_logits
from plantood.training.common.settings import CostSettings
from plantood.training.common.tables import Row
from plantood.training.finetune.changes import Change, change_of, error_of
from plantood.training.judging.threshold import ChosenThreshold, choose_threshold

NEW, KNOWN = "new photos", "memory"
HEADER = ("photos of", "error", "photos", "before", "after", "newly right", "newly wrong", "worse")
"""Of the table of changes."""


@dataclass(frozen=True)
class Judged:
    """What became of the verdicts."""

    before: float
    """Threshold of the parent."""
    chosen: ChosenThreshold
    new: tuple[Change, ...]
    """By class; the child that judges a photo has not seen its scene."""
    known: tuple[Change, ...]
    """Totals by class, then every source that changed."""

    @property
    def objections(self) -> list[str]:
        """Why the child is not to take the place of its parent; empty if it may."""
        return [
            f"Worse on {change.source}: {change.wrong_before} {change.error} before, "
            f"{change.wrong_after} after, of {change.count}."
            for change in (*self.new, *self.known)
            if change.worse
        ]

    def table(self) -> tuple[Row, list[Row]]:
        """Header and rows."""
        return HEADER, [_row(change) for change in (*self.new, *self.known)]


def judge(
    memory: Memory,
    photos: NewPhotos,
    start: Correction,
    correction: Correction,
    *,
    threshold: float,
    costs: CostSettings,
    margin: float,
) -> Judged:
    """Compare a gate with what it becomes by a correction, each at its own threshold.

    The threshold is chosen anew on memory and new photos together, near the one that there was.

    Args:
        memory: of the gate, without the new photos.
        photos: the new ones.
        start: the correction that the gate had.
        correction: the one that it gets.
        threshold: that the gate had.
        costs: of errors.
        margin: see :func:`plantood.training.finetune.changes.is_worse`.
    """
    old = [sigmoid(memory_logits(memory, one)) for one in (start, correction)]
    new = [
        sigmoid(start.logit(photos.logit, photos.embedding)),
        sigmoid(leave_each_out(memory, photos, start)),
    ]
    chosen = choose_threshold(
        np.concatenate([memory.plant, photos.plant]),
        np.concatenate([old[1], new[1]]),
        false_accept_cost=costs.false_accept_cost,
        false_retake_cost=costs.false_retake_cost,
        towards=threshold,
        standard_errors=costs.standard_errors,
        share_of_others=costs.share_of_others,
    )
    thresholds = (threshold, chosen.threshold)
    wrong_new = [(p >= at) != photos.plant for p, at in zip(new, thresholds, strict=True)]
    wrong_old = [(p >= at) != memory.plant for p, at in zip(old, thresholds, strict=True)]

    def change(
        name: str, wrong: list[NDArray[np.bool_]], plant: bool, mine: NDArray[np.bool_]
    ) -> Change:
        return change_of(name, error_of(plant), wrong[0][mine], wrong[1][mine], margin)

    def both(name: str, wrong: list[NDArray[np.bool_]], labels: NDArray[np.bool_]) -> list[Change]:
        return [
            change(name, wrong, plant, labels == plant)
            for plant in (False, True)
            if np.any(labels == plant)
        ]

    sources = [
        change(str(name), wrong_old, plant, mine)
        for plant in (False, True)
        for number, name in enumerate(memory.sources)
        if np.any(mine := (memory.source == number) & (memory.plant == plant))
    ]
    moved = [one for one in sources if one.newly_right or one.newly_wrong]
    return Judged(
        before=threshold,
        chosen=chosen,
        new=tuple(both(NEW, wrong_new, photos.plant)),
        known=(*both(KNOWN, wrong_old, memory.plant), *moved),
    )


def _row(change: Change) -> Row:
    return [
        *change.cells(),
        "worse" if change.worse else "",
    ]
