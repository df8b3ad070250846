"""Which of a reviewer's own labels deserve a second look, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from plantood.training.review.log import DecisionLog
from plantood.training.review.tally import Entry
from plantood.training.rounds.labels import DECIDED
from plantood.training.rounds.mined import MinedPhoto

STRONG = 0.8
"""Distance of the label (1 = plant, 0 = other) from P(plant), from which on the gate is strongly
against it: a plant at 0.2 or less, an other at 0.8 or more."""

Because = Literal["reviewer", "self", "gate"]


@dataclass(frozen=True)
class SecondLook:
    """One photo to look at again.

    Attributes:
        id: Of the photo.
        because: What disagrees with the reviewer's label: another ``reviewer``, the one before it
            by the reviewer him``self``, or the ``gate``.
    """

    id: str
    because: Because


def second_looks(log: DecisionLog, reviewer: str) -> list[SecondLook]:
    """Photos that a reviewer should look at again: where reviewers differ, then the others.

    A label that was given once more is settled: against the gate for good, against another
    reviewer until that one says something new. A change of mind is settled by the third look.
    """
    found: list[tuple[int, float, SecondLook]] = []
    order: tuple[Because, ...] = ("reviewer", "self", "gate")
    for photo in log.photos.values():
        looks = log.looks(photo.id, reviewer)
        if looks and (because := _because(log, photo, reviewer, looks)):
            strength = _against_gate(photo, looks[-1])
            found.append((order.index(because), -strength, SecondLook(photo.id, because)))
    return [look for _, _, look in sorted(found, key=lambda item: item[:2])]


def _because(
    log: DecisionLog, photo: MinedPhoto, reviewer: str, looks: Sequence[Entry]
) -> Because | None:
    mine = looks[-1]
    if mine.decision.label not in DECIDED:
        return None  # unsure disagrees with nobody
    for name, other in log.votes(photo.id).items():
        differs = other.decision.label in DECIDED and other.decision.label != mine.decision.label
        if name != reviewer and differs and (len(looks) == 1 or other.number > mine.number):
            return "reviewer"
    if len(looks) == 2 and looks[0].decision.label != mine.decision.label:
        return "self"
    if len(looks) == 1 and _against_gate(photo, mine) >= STRONG:
        return "gate"
    return None


def _against_gate(photo: MinedPhoto, entry: Entry) -> float:
    """Distance of a label from P(plant), 0 to 1; 0 for unsure."""
    target = {"plant": 1.0, "other": 0.0}.get(entry.decision.label, photo.plant_probability)
    return abs(target - photo.plant_probability)
