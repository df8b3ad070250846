"""A gate before and after it learned: on the new photos, each judged without it, and on its memory.

Both stand at the threshold that one rule gives them by these very photos, and at fixed operating
points. What it remembers was trained on both before and after, so those figures say what was
forgotten, not how good the gate is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.calibration import sigmoid
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory
from plantood.training.adapt.correction.correct import NewPhotos, memory_logits
from plantood.training.adapt.correction.fit import Vector
from plantood.training.adapt.terms import Terms
from plantood.training.judging.changes import (
    Change,
    CostChange,
    at_fixed_points,
    change_of,
    cost_of,
    error_of,
    wrong_verdicts,
)
from plantood.training.judging.decision.threshold import FEWEST, ChosenThreshold, choose_threshold
from plantood.training.judging.metrics import calibration_error, cross_entropy, prevalence_weights
from plantood.training.photos.division.units import telling

NEW, KNOWN, MADE = "new photos", "memory", "drawn pictures of the memory"


@dataclass(frozen=True)
class Predictions:
    """What a gate says of some photos."""

    labels: Vector
    """``[N]``, 1 = plant."""
    probabilities: Vector
    """P(plant), ``[N]``, 0..1."""
    scenes: NDArray[np.int64]
    """A number of each, ``[N]``, that photos of one scene share."""

    def part(self, chosen: NDArray[np.bool_]) -> Predictions:
        """Of some of them."""
        return Predictions(self.labels[chosen], self.probabilities[chosen], self.scenes[chosen])


@dataclass(frozen=True)
class Figures:
    """Photos as a whole, before and after; weighted as if others were as common as is expected."""

    photos: str
    """Which ones."""
    count: int
    cost: CostChange
    as_served: CostChange
    """The same, but before at the threshold that the parent serves with."""
    log_loss: tuple[float, float]
    calibration_error: tuple[float, float]

    @property
    def costlier(self) -> bool:
        """Whether errors cost more than by the same rule before, and than what is served."""
        return self.cost.worse and self.as_served.worse


@dataclass(frozen=True)
class ChildJudgement:
    """What became of the verdicts."""

    before: ChosenThreshold
    """Of the parent, chosen as the child's is; it may serve with another one."""
    after: ChosenThreshold
    """Of the child, which serves with it."""
    new: tuple[Change, ...]
    """By class, then at fixed points; the child that judges a photo has not seen its scene."""
    known: tuple[Change, ...]
    """Totals of its photos by class, then at fixed points, then every source that changed; what was
    drawn for the training is one."""
    figures: tuple[Figures, ...]
    """Of the new photos, and of the photos of the memory."""

    @property
    def objections(self) -> list[str]:
        """Why the child is not to take the place of its parent; empty if it may."""
        worse = [
            f"Worse on {change.source}: {change.wrong_before} {change.error} before, "
            f"{change.wrong_after} after, of {change.count}."
            for change in (*self.new, *self.known)
            if change.worse
        ]
        return worse + [
            f"Costlier on {one.photos}: its errors cost as much as {one.cost.after:.4g} false "
            f"retakes, those of its parent {one.cost.before:.4g}."
            for one in self.figures
            if one.costlier
        ]

    def as_dict(self) -> dict[str, Any]:
        """What the child's ``metrics.json`` says of it, plain values for JSON."""
        return {
            "before": self.before.as_dict(),
            "new": [change.as_dict() for change in self.new],
            "known": [change.as_dict() for change in self.known],
            "figures": [asdict(one) for one in self.figures],
            "objections": self.objections,
        }


def judge_child(
    memory: Memory,
    photos: NewPhotos,
    start: Correction,
    correction: Correction,
    left_out: Vector,
    *,
    terms: Terms,
    margin: float,
) -> ChildJudgement:
    """Compare a gate with what it becomes by a correction.

    The threshold of either is chosen on memory and new photos together. All sources of a class
    count alike, and its new photos are one more; those of hardly any photos have no say, nor has
    what was drawn for the training: kinds of drawn pictures are no sources. What is told of the
    memory is likewise told of its photos, and of all that was drawn together.

    Args:
        memory: of the gate, without the new photos.
        photos: the new ones, ``[M]``.
        start: the correction that the gate had.
        correction: the one that it gets.
        left_out: logits of the new photos ``[M]``, each by a correction that was fitted without its
            scene; see :func:`plantood.training.adapt.correction.correct.leave_each_out`.
        terms: by which both are judged; they move the logits of both.
        margin: see :func:`plantood.training.judging.changes.is_worse`.
    """
    labels = {KNOWN: memory.plant.astype(np.float64), NEW: photos.plant.astype(np.float64)}
    scenes = {KNOWN: np.arange(len(memory)), NEW: photos.scene}
    before = {KNOWN: memory_logits(memory, start), NEW: start.logit(photos.logit, photos.embedding)}
    after = {KNOWN: memory_logits(memory, correction), NEW: left_out}
    told, own = (
        {
            name: Predictions(labels[name], sigmoid(logits[name] + terms.shift), scenes[name])
            for name in labels
        }
        for logits in (before, after)
    )
    choosing = {KNOWN: remembered_to_choose(memory), NEW: enough_to_choose(photos)}
    by = [*memory.names[choosing[KNOWN]].tolist(), *[NEW] * int(choosing[NEW].sum())]
    at_before, at_after = (
        choose_threshold(
            np.concatenate([labels[name][mine] for name, mine in choosing.items()]),
            np.concatenate([said[name].probabilities[mine] for name, mine in choosing.items()]),
            **terms.costs.as_dict(),
            towards=terms.towards,
            sources=by,
        )
        for said in (told, own)
    )
    taken = photos_of(memory)
    new, of_memory, made = (
        Compared(
            name,
            told[of].part(mine),
            own[of].part(mine),
            at_before.threshold,
            at_after.threshold,
            terms,
            margin,
        )
        for name, of, mine in (
            (NEW, NEW, np.ones(len(photos), bool)),
            (KNOWN, KNOWN, taken),
            (MADE, KNOWN, ~taken),
        )
    )
    moved = [
        change
        for change in (*of_memory.by_source(memory.names[taken].tolist()), *made.classes())
        if change.newly_right or change.newly_wrong
    ]
    return ChildJudgement(
        before=at_before,
        after=at_after,
        new=new.totals(),
        known=(*of_memory.totals(), *moved),
        figures=(new.figures(), of_memory.figures()),
    )


def enough_to_choose(photos: NewPhotos) -> NDArray[np.bool_]:
    """Whether each photo, ``[M]``, is of a class with enough scenes to have a say in the threshold.

    One scene would be a source like any other, and count as much as hundreds.
    """
    enough: NDArray[np.bool_] = np.where(
        photos.plant, photos.scenes(True) >= FEWEST, photos.scenes(False) >= FEWEST
    )
    return enough


def photos_of(memory: Memory) -> NDArray[np.bool_]:
    """Which remembered pictures, ``[N]``, are photos, not drawn; all of a class that has none."""
    mine = ~memory.drawn
    for plant in (True, False):
        if not np.any(mine & (memory.plant == plant)):
            mine |= memory.plant == plant
    return mine


def remembered_to_choose(memory: Memory) -> NDArray[np.bool_]:
    """Whether each remembered picture, ``[N]``, has a say in the threshold; some of each class do.

    Those that were drawn have none, unless a class has no others.
    """
    mine = photos_of(memory)
    mine[mine] = telling(memory.plant[mine], memory.names[mine].tolist())
    return mine


@dataclass(frozen=True)
class Compared:
    """Some photos by both, each at its threshold.

    What is worse by the rule, but no worse than by the threshold that the parent serves with, does
    not speak against the child: the rule may give either another threshold within the noise, and
    that of the parent was never served.
    """

    photos: str
    before: Predictions
    after: Predictions
    threshold_before: float
    threshold_after: float
    terms: Terms
    margin: float

    @cached_property
    def _wrong(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """By the parent at the threshold of the rule, as it serves, and by the child."""
        return (
            wrong_verdicts(self.before, self.threshold_before),
            wrong_verdicts(self.before, self.terms.served_at),
            wrong_verdicts(self.after, self.threshold_after),
        )

    def change(self, name: str, plant: bool, mine: NDArray[np.bool_]) -> Change:
        """On some of the photos of a class; worse only if it is worse than what is served, too."""
        before, served, after = self._wrong
        scenes = self.before.scenes[mine]
        by_rule, as_served = (
            change_of(name, error_of(plant), one[mine], after[mine], self.margin, scenes=scenes)
            for one in (before, served)
        )
        return replace(by_rule, worse=by_rule.worse and as_served.worse)

    def classes(self) -> list[Change]:
        """By class."""
        return self.by_source([self.photos] * len(self.before.labels))

    def totals(self) -> tuple[Change, ...]:
        """By class, and at fixed operating points."""
        fixed = at_fixed_points(
            self.before,
            self.after,
            self.threshold_before,
            self.margin,
            self.photos,
            scenes=self.before.scenes,
        )
        return (*self.classes(), *fixed)

    def by_source(self, sources: Sequence[str]) -> list[Change]:
        """By class and source."""
        names = np.array(sources)
        return [
            self.change(name, plant, mine)
            for plant in (False, True)
            for name in np.unique(names).tolist()
            if np.any(mine := (names == name) & (self.before.labels == plant))
        ]

    def figures(self) -> Figures:
        """All of them together."""
        labels, scenes = self.before.labels, self.before.scenes
        share, costs = self.terms.share_of_others, self.terms.costs
        weights = prevalence_weights(labels, share)
        said = self.before.probabilities, self.after.probabilities
        before, served, after = self._wrong
        losses = [float(np.average(cross_entropy(labels, p), weights=weights)) for p in said]
        errors = [calibration_error(labels, p, share_of_others=share) or 0.0 for p in said]
        return Figures(
            photos=self.photos,
            count=len(labels),
            cost=cost_of(labels, before, after, costs, scenes),
            as_served=cost_of(labels, served, after, costs, scenes),
            log_loss=(losses[0], losses[1]),
            calibration_error=(errors[0], errors[1]),
        )
