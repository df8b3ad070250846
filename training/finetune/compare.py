"""Two gates on the same photos: which photos changed sides, and whether that is more than luck.

Each gate is judged at the threshold that one rule gives it, and, so that the choice of a threshold
cannot be mistaken for something learned, where it lets as many others through as its parent, and
where it keeps as many plants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.settings import CostSettings
from plantood.training.judging.changes import (
    Change,
    CostChange,
    at_fixed_points,
    change_of,
    cost_of,
    error_of,
    wrong_verdicts,
)
from plantood.training.judging.evaluation import Evaluation, Scored


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
    fixed: tuple[Change, ...]
    """False retakes of all where both let as many others through as the parent does, and false
    accepts of all where both keep as many plants; see :func:`at_fixed_points`."""
    cost: CostChange

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "by_source": [change.as_dict() for change in self.by_source],
            "totals": [change.as_dict() for change in self.totals],
            "fixed": [change.as_dict() for change in self.fixed],
            "cost": asdict(self.cost),
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
    seen: Mapping[str, int]
    """By split, the photos that were left out since one of the two, or an ancestor, has learned
    from them or from near-duplicates."""

    def as_dict(self) -> dict[str, Any]:
        """What the child's ``metrics.json`` says of it, plain values for JSON."""
        return {
            "before": self.before.figures(),
            "changes": {one.split: one.as_dict() for one in self.comparisons},
            "margin": self.margin,
            "left_out_as_seen": dict(self.seen),
            "objections": list(self.objections),
        }


def judge(
    before: Evaluation,
    after: Evaluation,
    margin: float,
    *,
    costs: CostSettings,
    improved: bool,
    replayed: bool = True,
    seen: Mapping[str, int] | None = None,
) -> Judgement:
    """Compare two gates on all splits that neither was fitted to.

    Args:
        before: the parent.
        after: the child; its threshold comes from the same rule on the same photos.
        margin: see :func:`is_worse`.
        costs: what the errors cost.
        improved: whether anything was better than the parent on the validation photos.
        replayed: whether the parent's own photos are among those that the two are judged on.
        seen: by split, the photos that were left out of it since the parent knew them.
    """
    comparisons = tuple(
        compare_gates(before, after, split, margin, costs)
        for split in after.splits
        if split != "val"
    )
    objections = []
    if not improved:
        objections.append("Nothing was better than the parent on the validation photos.")
    if not replayed:
        objections.append(
            "Nobody knows what it forgot: none of the photos that its parent was trained on was "
            "replayed. Judge it on some, or on plants of your own, before you let it serve: "
            "plantood rounds TAG --data PHOTOS"
        )
    for comparison in comparisons:
        objections += _objections(comparison)
    return Judgement(before, after, comparisons, tuple(objections), margin, dict(seen or {}))


def _objections(comparison: Comparison) -> list[str]:
    """What speaks against the child on one split, the sources first."""
    changes = (*comparison.by_source, *comparison.totals, *comparison.fixed)
    objections = [
        f"Worse on {change.source}, {comparison.split}: {change.wrong_before} {change.error} "
        f"before, {change.wrong_after} after, of {change.count}."
        for change in changes
        if change.worse
    ]
    cost = comparison.cost
    if cost.worse:
        objections.append(
            f"Costlier on all, {comparison.split}: its errors cost as much as {cost.after:g} false "
            f"retakes, those of its parent {cost.before:g}."
        )
    return objections


def compare_gates(
    before: Evaluation, after: Evaluation, split: str, margin: float, costs: CostSettings
) -> Comparison:
    """Compare two gates on one split, each at its own threshold and at fixed operating points.

    Raises:
        ValueError: they were not scored on the same photos.
    """
    one, two = before.splits[split], after.splits[split]
    if one.photos != two.photos:
        raise ValueError(f"the two gates were not scored on the same photos of {split}")
    labels, scenes = one.labels, after.scenes(split)
    wrong_before = wrong_verdicts(one, before.threshold)
    wrong_after = wrong_verdicts(two, after.threshold)

    def change(source: str, error: str, mine: NDArray[np.bool_]) -> Change:
        verdicts = wrong_before[mine], wrong_after[mine]
        return change_of(source, error, *verdicts, margin, scenes=scenes[mine])

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
        fixed=at_fixed_points(one, two, before.threshold, margin, scenes=scenes),
        cost=cost_of(labels, wrong_before, wrong_after, costs, scenes),
    )
