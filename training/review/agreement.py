"""How far two reviewers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from plantood.training.common.intervals import wilson
from plantood.training.review.log import DecisionLog


@dataclass(frozen=True)
class Agreement:
    """Of two reviewers on the same photos.

    Attributes:
        share: Of the photos on which they say the same, 0 to 1.
        interval: Of the share, 95 %, by Wilson.
        kappa: The same beyond chance, -1 to 1; None where chance alone gives full agreement.
    """

    share: float
    interval: tuple[float, float]
    kappa: float | None


@dataclass(frozen=True)
class Pair:
    """Two reviewers, and how they agree on the photos that both have labelled.

    Attributes:
        reviewers: Their names.
        photos: How many they both labelled.
        first: By the first label of each, given before either saw what the other said.
        now: By the labels that stand, after second looks.
    """

    reviewers: tuple[str, str]
    photos: int
    first: Agreement
    now: Agreement


def agreement_of(one: Sequence[str], other: Sequence[str]) -> Agreement:
    """Percent agreement and Cohen's kappa of two lists of labels for the same items.

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20 (1960), 37-46.

    Args:
        one: Labels, at least one.
        other: As many labels, in the same order.
    """
    count = len(one)
    alike = sum(label == said for label, said in zip(one, other, strict=True))
    of_the_other = Counter(other)
    # Chance, in photos squared: whole numbers, so that full agreement by chance is found exactly.
    chance = sum(times * of_the_other[label] for label, times in Counter(one).items())
    kappa = (count * alike - chance) / (count**2 - chance) if chance < count**2 else None
    return Agreement(alike / count, wilson(alike, count), kappa)


def pairs(log: DecisionLog) -> list[Pair]:
    """Every two reviewers with photos in common, by name."""
    found = []
    for names in combinations(log.reviewers(), 2):
        looks = [[log.looks(photo, name) for name in names] for photo in log.photos]
        both = [pair for pair in looks if all(pair)]
        if both:
            first, now = (
                agreement_of(*([pair[side][at].decision.label for pair in both] for side in (0, 1)))
                for at in (0, -1)
            )
            found.append(Pair(names, len(both), first, now))
    return found
