"""What changed between two gates on some photos, counted and weighed against luck.

Only photos that one of the two gets right and the other wrong tell them apart (McNemar 1947, *Note
on the sampling error of the difference between correlated proportions or percentages*,
https://doi.org/10.1007/BF02295996).

Photos of one scene, such as frames of one burst, go the same way. So it is scenes that are weighed
against luck: a scene is won or lost by all of its photos together, and the noise of a sum is that
of its scenes' (the sandwich of White 1980 by clusters, under no difference; Liang and Zeger 1986,
https://doi.org/10.1093/biomet/73.1.13). Where each photo is a scene of its own, these are
McNemar's. Of under `FEWEST` scenes that noise says nothing: whether they got worse is told as if
each photo were one, since a child that fails in a whole scene is not to serve.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import comb, sqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.intervals import share
from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.threshold import FEWEST
from plantood.training.judging.metrics import prevalence_weights
from plantood.training.judging.outcomes import accepted

CELLS = ("error", "photos", "before", "after", "newly right", "newly wrong")
"""Headings of :meth:`Change.cells`, behind that of the source."""
NOISE = 2.0
"""Standard errors by which the cost of all errors must have grown to speak against a child."""
SIGNIFICANT = 0.05
EXCHANGES = 2000
"""Random ones, by which luck is told at fixed points."""
ELEMENTS = 1_000_000
"""Of an array of exchanges."""
Scenes = NDArray[np.int64] | None
"""A number of each photo ``[N]`` that those which show one scene share; None: each is its own."""


class Labelled(Protocol):
    """Photos with P(plant); `judging.evaluation.Scored` is one, which serving cannot import."""

    @property
    def labels(self) -> NDArray[np.floating]:
        """Labels ``[N]``, 1 = plant."""

    @property
    def probabilities(self) -> NDArray[np.floating]:
        """P(plant), ``[N]``, 0..1."""


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
        p_value: Of McNemar's exact test, of scenes, or as :func:`at_fixed_points` says.
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

    def cells(self) -> tuple[str, ...]:
        """Source, error, photos, wrong before and after, newly right and wrong, as a table's.

        What is wrong with its share, and the 95 % interval of that.
        """
        return (
            self.source,
            self.error,
            str(self.count),
            f"{self.wrong_before}: {share(self.wrong_before, self.count)}",
            f"{self.wrong_after}: {share(self.wrong_after, self.count)}",
            str(self.newly_right),
            str(self.newly_wrong),
        )


@dataclass(frozen=True)
class CostChange:
    """What all errors cost, in false retakes.

    Attributes:
        before: By the one gate.
        after: By the other.
        standard_error: Of their difference, if each scene changed sides by luck: the root of the
            sum of the squares of what each has cost more.
    """

    before: float
    after: float
    standard_error: float

    @property
    def worse(self) -> bool:
        """Whether it has grown by more than the noise."""
        return self.after - self.before > NOISE * self.standard_error


def at_fixed_points(
    before: Labelled,
    after: Labelled,
    threshold: float,
    margin: float,
    photos: str = "all",
    *,
    scenes: Scenes = None,
) -> tuple[Change, ...]:
    """Two gates where they let as many others through, and where they keep as many plants.

    How many is what the one before does at its ``threshold``. The thresholds for that are found on
    these photos themselves, for both in the same way, as on a ROC curve: they compare the order in
    which two gates put the photos, and are nothing to serve with. Of photos with the same
    probability all or none are let through, so that a few fewer may be.

    The threshold hangs on a few photos of the other kind, and moves all verdicts together, so that
    McNemar's test does not hold. If the gates are equally good, it is luck which of them put a
    photo where: the p-value is the share of random exchanges of the ranks that the two give each
    photo, those of a scene together, by which they differ as much (Venkatraman and Begg 1996, *A
    distribution-free procedure for comparing receiver operating characteristic curves from a paired
    experiment*, https://doi.org/10.1093/biomet/83.4.835). What is worse is so by more than the
    margin and at p < 0.05.
    """
    wrong = wrong_verdicts(before, threshold)
    plants = before.labels == 1
    if not plants.any() or plants.all():
        return ()
    let_through, sent_back = int(wrong[~plants].sum()), int(wrong[plants].sum())
    scene = _numbered(scenes, len(plants))
    # Or one scene that moves would move the ranks of all others by all of its photos.
    _, of_photo, sizes = np.unique(scene, return_inverse=True, return_counts=True)
    worth = 1 / sizes[of_photo]
    ranks = np.stack([_ranks(one.probabilities, worth) for one in (before, after)])
    retakes = _changed_at(ranks, plants, scene, let_through, margin, plant=True)
    accepts = _changed_at(-ranks, ~plants, scene, sent_back, margin, plant=False)
    return (
        replace(retakes, source=f"{photos}, at {let_through} false accepts"),
        replace(accepts, source=f"{photos}, at {sent_back} false retakes"),
    )


def _changed_at(
    ranks: NDArray[np.float64],
    mine: NDArray[np.bool_],
    scene: NDArray[np.int64],
    count: int,
    margin: float,
    *,
    plant: bool,
) -> Change:
    """On photos that are ``mine``, where either gate puts ``count`` of the others above them.

    ``ranks`` are those of the two gates, ``[2, N]``.
    """
    before, after = _wrong_at(ranks[:, mine], ranks[:, ~mine], count)
    change = change_of("", error_of(plant), before, after, margin)
    lost = change.newly_wrong - change.newly_right
    p_value = _by_luck(ranks, mine, scene, count, lost) if lost else 1.0
    worse = lost > margin * change.count and p_value < SIGNIFICANT
    return replace(change, p_value=p_value, worse=worse)


def _by_luck(
    ranks: NDArray[np.float64],
    mine: NDArray[np.bool_],
    scene: NDArray[np.int64],
    count: int,
    lost: int,
) -> float:
    """The share of exchanges by which as many verdicts or more are lost or won, none as well."""
    # Whatever is exchanged, the limit lies between these two: only what may be on either side of
    # it, and what may be it, is exchanged.
    low, high = ranks.min(0), ranks.max(0)
    lowest, highest = _limit(low[~mine], count), _limit(high[~mine], count)
    may_count = np.where(mine, (low <= highest) & (high > lowest), high >= lowest)
    ranks, mine, scene = ranks[:, may_count], mine[may_count], scene[may_count]
    scenes, of_photo = np.unique(scene, return_inverse=True)
    rng = np.random.default_rng(0)
    as_far = 1
    size = max(1, ELEMENTS // len(mine))
    for done in range(0, EXCHANGES, size):
        exchanged = rng.random((min(size, EXCHANGES - done), len(scenes)))[:, of_photo] < 0.5
        pair = np.where(exchanged, ranks[1], ranks[0]), np.where(exchanged, ranks[0], ranks[1])
        before, after = (_wrong_at(of[:, mine], of[:, ~mine], count).sum(-1) for of in pair)
        as_far += int(np.sum(np.abs(after - before) >= abs(lost)))
    return as_far / (EXCHANGES + 1)


def _wrong_at(
    own: NDArray[np.float64], others: NDArray[np.float64], count: int
) -> NDArray[np.bool_]:
    """Which ranks ``[..., P]`` are not above all but ``count`` of the others' ``[..., O]``."""
    wrong: NDArray[np.bool_] = own <= _limit(others, count)[..., None]
    return wrong


def _limit(others: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The rank that ``count`` of the others' ``[..., O]`` are above or level with."""
    at = others.shape[-1] - 1 - count
    if at < 0:
        return np.full(others.shape[:-1], -np.inf)
    found: NDArray[np.float64] = np.partition(others, at, axis=-1)[..., at]
    return found


def _ranks(scores: NDArray[np.floating], worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of scores, both ``[N]``; those of one value share the middle of theirs.

    ``worth`` is how many ranks each photo takes, ``[N]``.
    """
    _, of = np.unique(scores, return_inverse=True)
    sizes = np.bincount(of, weights=worth)
    # Equal ranks of the two gates are to be equal, however they were summed up.
    middles: NDArray[np.float64] = np.round(np.cumsum(sizes) - sizes / 2, 6)
    return middles[of]


def wrong_verdicts(scored: Labelled, threshold: float) -> NDArray[np.bool_]:
    """Whether the verdict on each photo is wrong, ``[N]``."""
    wrong: NDArray[np.bool_] = accepted(scored.probabilities, threshold) != (scored.labels == 1)
    return wrong


def change_of(
    source: str,
    error: str,
    wrong_before: NDArray[np.bool_],
    wrong_after: NDArray[np.bool_],
    margin: float,
    *,
    scenes: Scenes = None,
) -> Change:
    """The change on the photos of one kind, of two arrays ``[N]`` of wrong verdicts."""
    each = wrong_after.astype(int) - wrong_before
    lost = by_scene(each, scenes)
    return Change(
        source=source,
        error=error,
        count=len(wrong_before),
        wrong_before=int(wrong_before.sum()),
        wrong_after=int(wrong_after.sum()),
        newly_wrong=int(np.sum(wrong_after & ~wrong_before)),
        newly_right=int(np.sum(wrong_before & ~wrong_after)),
        p_value=mcnemar_exact(int(np.sum(lost > 0)), int(np.sum(lost < 0))),
        worse=is_worse(_units(each, scenes), len(wrong_before), margin),
    )


def by_scene(values: NDArray[Any], scenes: Scenes = None) -> NDArray[np.float64]:
    """The sum of each scene's values ``[N]``; without ``scenes`` each photo is one."""
    of_photo = np.unique(_numbered(scenes, len(values)), return_inverse=True)[1]
    sums = np.bincount(of_photo, weights=values.astype(np.float64))
    return np.asarray(sums, np.float64)


def _units(values: NDArray[Any], scenes: Scenes) -> NDArray[Any]:
    """Values ``[N]`` by what their noise is told from: scenes, or photos if these are too few."""
    of_scenes = by_scene(values, scenes)
    return of_scenes if len(of_scenes) >= FEWEST else values


def _numbered(scenes: Scenes, photos: int) -> NDArray[np.int64]:
    """A number of each photo's scene, ``[N]``."""
    return np.arange(photos) if scenes is None else scenes


def cost_of(
    labels: NDArray[np.floating],
    wrong_before: NDArray[np.bool_],
    wrong_after: NDArray[np.bool_],
    costs: CostSettings,
    scenes: Scenes = None,
) -> CostChange:
    """What all errors cost before and after, of labels and two arrays of wrong verdicts ``[N]``.

    With a share of others among the costs, photos count as if others had it among these.
    """
    each = np.where(labels == 1, costs.false_retake_cost, costs.false_accept_cost)
    each = each * prevalence_weights(labels, costs.share_of_others)
    costlier = each * (wrong_after.astype(int) - wrong_before)
    return CostChange(
        before=float(each[wrong_before].sum()),
        after=float(each[wrong_after].sum()),
        standard_error=sqrt(float(np.square(_units(costlier, scenes)).sum())),
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


def is_worse(lost: NDArray[Any], count: int, margin: float) -> bool:
    """Whether the loss on ``count`` photos is larger than the margin by more than its noise.

    ``sum(lost) > margin * count + sqrt(sum(lost ** 2))``: the root is the standard error of the
    sum. With a margin of 0.02, one photo of a small source never counts as worse, and of 45 it
    takes three.

    Args:
        lost: verdicts that became wrong, less those that became right, by scene, ``[S]``.
        count: photos.
        margin: share of them that may be lost.
    """
    return float(lost.sum()) > margin * count + sqrt(float(np.square(lost).sum()))
