"""Two gates on the same photos: which photos changed sides, and whether that is more than luck.

Only photos that one of the two gets right and the other wrong tell them apart (McNemar 1947, *Note
on the sampling error of the difference between correlated proportions or percentages*,
https://doi.org/10.1007/BF02295996).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import comb, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.training.judging.evaluation import Evaluation, Scored


@dataclass(frozen=True)
class Change:
    """How the verdicts on some photos changed.

    Attributes:
        source: Of the photos; or what they have in common.
        error: ``false accepts``, ``false retakes``, or ``errors`` of both kinds.
        count: Photos.
        wrong_before: Of them, by the one gate.
        wrong_after: By the other.
        newly_wrong: Right before, wrong after.
        newly_right: Wrong before, right after.
        p_value: Of McNemar's exact test.
        worse: Whether it is worse than the margin allows.
    """

    source: str
    error: str
    count: int
    wrong_before: int
    wrong_after: int
    newly_wrong: int
    newly_right: int
    p_value: float
    worse: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """Both gates on one split, with all its photos."""

    split: str
    before: Scored
    after: Scored
    newly_wrong: NDArray[np.int64]
    """Indices of photos, the most changed first."""
    newly_right: NDArray[np.int64]
    by_source: tuple[Change, ...]
    totals: tuple[Change, ...]
    """False accepts, false retakes, and both."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "by_source": [change.as_dict() for change in self.by_source],
            "totals": [change.as_dict() for change in self.totals],
        }


@dataclass(frozen=True)
class Judgement:
    """Parent and child on every split, and what speaks against the child."""

    before: Evaluation
    after: Evaluation
    comparisons: tuple[Comparison, ...]
    objections: tuple[str, ...]
    """Why the child is not to take the place of its parent; empty if it may."""
    margin: float

    def as_dict(self) -> dict[str, Any]:
        """What the child's ``metrics.json`` says of it, plain values for JSON."""
        return {
            "before": self.before.figures(),
            "changes": {one.split: one.as_dict() for one in self.comparisons},
            "margin": self.margin,
            "objections": list(self.objections),
        }


def judge(
    before: Evaluation, after: Evaluation, margin: float, *, improved: bool, replayed: bool = True
) -> Judgement:
    """Compare two gates on all splits that neither was fitted to.

    Args:
        before: the parent.
        after: the child.
        margin: see :func:`is_worse`.
        improved: whether any epoch was better than the parent on the validation photos.
        replayed: whether the parent's own photos are among those that the two are judged on.
    """
    comparisons = tuple(
        compare(before, after, split, margin) for split in after.splits if split != "val"
    )
    objections = []
    if not improved:
        objections.append("No epoch was better than the parent on the validation photos.")
    if not replayed:
        objections.append(
            "Nobody knows what it forgot: none of the photos that its parent was trained on was "
            "replayed. Judge it on some, or on plants of your own, before you let it serve: "
            "plantood rounds TAG --data PHOTOS"
        )
    objections += [
        f"Worse on {change.source}, {comparison.split}: {change.wrong_before} {change.error} "
        f"before, {change.wrong_after} after, of {change.count}."
        for comparison in comparisons
        for change in comparison.by_source
        if change.worse
    ]
    return Judgement(before, after, comparisons, tuple(objections), margin)


def compare(before: Evaluation, after: Evaluation, split: str, margin: float) -> Comparison:
    """Compare two gates on one split, each at its own threshold."""
    one, two = before.splits[split], after.splits[split]
    if one.photos != two.photos:
        raise ValueError(f"the two gates were not scored on the same photos of {split}")
    labels = one.labels
    wrong_before = (one.probabilities >= before.threshold) != (labels == 1)
    wrong_after = (two.probabilities >= after.threshold) != (labels == 1)

    def change(source: str, error: str, mine: NDArray[np.bool_]) -> Change:
        newly_wrong = int(np.sum(mine & wrong_after & ~wrong_before))
        newly_right = int(np.sum(mine & wrong_before & ~wrong_after))
        return Change(
            source=source,
            error=error,
            count=int(mine.sum()),
            wrong_before=int(np.sum(mine & wrong_before)),
            wrong_after=int(np.sum(mine & wrong_after)),
            newly_wrong=newly_wrong,
            newly_right=newly_right,
            p_value=mcnemar_exact(newly_wrong, newly_right),
            worse=is_worse(newly_wrong, newly_right, int(mine.sum()), margin),
        )

    sources = np.array(one.sources, dtype=object)
    cells = sorted({(int(y) == 0, str(s)) for y, s in zip(labels, sources, strict=True)})
    moved = np.abs(two.probabilities - one.probabilities)

    def indices(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        found = np.flatnonzero(mask)
        return found[np.argsort(-moved[found], kind="stable")]

    return Comparison(
        split=split,
        before=one,
        after=two,
        newly_wrong=indices(wrong_after & ~wrong_before),
        newly_right=indices(wrong_before & ~wrong_after),
        by_source=tuple(
            change(source, error_of(not other), (sources == source) & (labels == (not other)))
            for other, source in cells
        ),
        totals=(
            change("all", error_of(False), labels == 0),
            change("all", error_of(True), labels == 1),
            change("all", "errors", np.ones(len(labels), bool)),
        ),
    )


def error_of(plant: bool) -> str:
    """What an error is called on a photo of this class."""
    return "false retakes" if plant else "false accepts"


def mcnemar_exact(newly_wrong: int, newly_right: int) -> float:
    """Two-sided p-value of McNemar's exact test, 0..1.

    If the gates are equally good, each photo that changed sides did so in either direction with
    probability 1/2: twice the smaller tail of Binomial(n, 1/2), at most 1 (Fagerland, Lydersen and
    Laake 2013, https://doi.org/10.1186/1471-2288-13-91).
    """
    changed = newly_wrong + newly_right
    tail = sum(comb(changed, k) for k in range(min(newly_wrong, newly_right) + 1))
    return min(1.0, float(2 * tail / 2**changed))


def is_worse(newly_wrong: int, newly_right: int, count: int, margin: float) -> bool:
    """Whether the loss on ``count`` photos is larger than the margin by more than its noise.

    ``newly_wrong - newly_right > margin * count + sqrt(newly_wrong + newly_right)``: the root is
    the standard error of that difference (McNemar 1947). With a margin of 0.02, one photo of a
    small source never counts as worse, and of 45 it takes three.
    """
    changed = newly_wrong + newly_right
    return newly_wrong - newly_right > margin * count + sqrt(changed)
