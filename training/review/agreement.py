"""How far two reviewers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from plantood.training.review.log import DecisionLog


@dataclass(frozen=True)
class Agreement:
    """Of two reviewers on the same photos.

    Attributes:
        share: Of the photos on which they say the same, 0 to 1.
        kappa: The same beyond chance, -1 to 1; None where chance alone gives full agreement.
    """

    share: float
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


def agreement(one: Sequence[str], other: Sequence[str]) -> Agreement:
    """Percent agreement and Cohen's kappa of two lists of labels for the same items.

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20 (1960), 37-46. With ``p_o`` the share of items labelled alike, and ``p_e`` the
    share expected by chance from how often each of the two uses each label::

        kappa = (p_o - p_e) / (1 - p_e)

    Args:
        one: Labels, at least one.
        other: As many labels, in the same order.
    """
    count = len(one)
    share = sum(a == b for a, b in zip(one, other, strict=True)) / count
    used, used_by_other = Counter(one), Counter(other)
    by_chance = sum(used[label] * used_by_other[label] for label in used) / count**2
    return Agreement(share, (share - by_chance) / (1 - by_chance) if by_chance < 1 else None)


def pairs(log: DecisionLog) -> list[Pair]:
    """Every two reviewers with photos in common, by name."""
    found = []
    for names in combinations(log.reviewers(), 2):
        looks = [[log.looks(photo, name) for name in names] for photo in log.photos]
        both = [pair for pair in looks if all(pair)]
        if both:
            first, now = (
                agreement(*([pair[side][at].decision.label for pair in both] for side in (0, 1)))
                for at in (0, -1)
            )
            found.append(Pair(names, len(both), first, now))
    return found
