"""What changed between two gates on some photos, counted and weighed against luck.

Only photos that one of the two gets right and the other wrong tell them apart (McNemar 1947, *Note
on the sampling error of the difference between correlated proportions or percentages*,
https://doi.org/10.1007/BF02295996).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import comb, sqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.intervals import share
from plantood.training.common.settings import CostSettings
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
        p_value: Of McNemar's exact test, or as :func:`at_fixed_points` says.
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
        standard_error: Of their difference, if each photo changed sides by luck: the root of the
            sum of the squared costs of the photos that did.
    """

    before: float
    after: float
    standard_error: float

    @property
    def worse(self) -> bool:
        """Whether it has grown by more than the noise."""
        return self.after - self.before > NOISE * self.standard_error


def at_fixed_points(
    before: Labelled, after: Labelled, threshold: float, margin: float, photos: str = "all"
) -> tuple[Change, ...]:
    """Two gates where they let as many others through, and where they keep as many plants.

    How many is what the one before does at its ``threshold``. The thresholds for that are found on
    these photos themselves, for both in the same way, as on a ROC curve: they compare the order in
    which two gates put the photos, and are nothing to serve with. Of photos with the same
    probability all or none are let through, so that a few fewer may be.

    The threshold hangs on a few photos of the other kind, and moves all verdicts together, so that
    McNemar's test does not hold. If the gates are equally good, it is luck which of them put a
    photo where: the p-value is the share of random exchanges of the ranks that the two give each
    photo by which they differ as much (Venkatraman and Begg 1996, *A distribution-free procedure
    for comparing receiver operating characteristic curves from a paired experiment*,
    https://doi.org/10.1093/biomet/83.4.835). What is worse is so by more than the margin and at
    p < 0.05.
    """
    wrong = wrong_verdicts(before, threshold)
    plants = before.labels == 1
    if not plants.any() or plants.all():
        return ()
    let_through, sent_back = int(wrong[~plants].sum()), int(wrong[plants].sum())
    ranks = np.stack([_ranks(before.probabilities), _ranks(after.probabilities)])
    retakes = _changed_at(ranks, plants, let_through, margin, error_of(True))
    accepts = _changed_at(-ranks, ~plants, sent_back, margin, error_of(False))
    return (
        replace(retakes, source=f"{photos}, at {let_through} false accepts"),
        replace(accepts, source=f"{photos}, at {sent_back} false retakes"),
    )


def _changed_at(
    ranks: NDArray[np.float64], mine: NDArray[np.bool_], count: int, margin: float, error: str
) -> Change:
    """On photos that are ``mine``, where either gate puts ``count`` of the others above them.

    ``ranks`` are those of the two gates, ``[2, N]``.
    """
    own, others = ranks[:, mine], ranks[:, ~mine]
    before, after = _wrong_at(own, others, count)
    change = change_of("", error, before, after, margin)
    lost = change.newly_wrong - change.newly_right
    p_value = _by_luck(own, others, count, lost) if lost else 1.0
    worse = lost > margin * change.count and p_value < SIGNIFICANT
    return replace(change, p_value=p_value, worse=worse)


def _by_luck(own: NDArray[np.float64], others: NDArray[np.float64], count: int, lost: int) -> float:
    """The share of exchanges by which as many verdicts or more are lost or won, none as well."""
    # Whatever is exchanged, the limit lies between these two: only what may be on either side of
    # it, and what may be it, is exchanged.
    lowest, highest = _limit(others.min(0), count), _limit(others.max(0), count)
    own = own[:, (own.min(0) <= highest) & (own.max(0) > lowest)]
    others = others[:, others.max(0) >= lowest]
    rng = np.random.default_rng(0)
    as_far = 1
    size = max(1, ELEMENTS // (own.shape[1] + others.shape[1]))
    for done in range(0, EXCHANGES, size):
        of = min(size, EXCHANGES - done)
        pairs = zip(_exchanged(own, of, rng), _exchanged(others, of, rng), strict=True)
        before, after = (_wrong_at(mine, theirs, count).sum(-1) for mine, theirs in pairs)
        as_far += int(np.sum(np.abs(after - before) >= abs(lost)))
    return as_far / (EXCHANGES + 1)


def _exchanged(
    ranks: NDArray[np.float64], times: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ranks ``[2, n]``, those of either gate given to the other by luck, ``[times, n]`` each."""
    swapped = rng.random((times, ranks.shape[1])) < 0.5
    return np.where(swapped, ranks[1], ranks[0]), np.where(swapped, ranks[0], ranks[1])


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


def _ranks(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks of scores, both ``[N]``; those of one value share the middle of theirs."""
    _, of, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    middles: NDArray[np.float64] = np.cumsum(sizes) - (sizes - 1) / 2
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
) -> Change:
    """The change on the photos of one kind, of two arrays ``[N]`` of wrong verdicts."""
    newly_wrong = int(np.sum(wrong_after & ~wrong_before))
    newly_right = int(np.sum(wrong_before & ~wrong_after))
    return Change(
        source=source,
        error=error,
        count=len(wrong_before),
        wrong_before=int(wrong_before.sum()),
        wrong_after=int(wrong_after.sum()),
        newly_wrong=newly_wrong,
        newly_right=newly_right,
        p_value=mcnemar_exact(newly_wrong, newly_right),
        worse=is_worse(newly_wrong, newly_right, len(wrong_before), margin),
    )


def cost_of(
    labels: NDArray[np.floating],
    wrong_before: NDArray[np.bool_],
    wrong_after: NDArray[np.bool_],
    costs: CostSettings,
) -> CostChange:
    """What all errors cost before and after, of labels and two arrays of wrong verdicts ``[N]``.

    With a share of others among the costs, photos count as if others had it among these.
    """
    each = np.where(labels == 1, costs.false_retake_cost, costs.false_accept_cost)
    each = each * prevalence_weights(labels, costs.share_of_others)
    changed = wrong_before != wrong_after
    return CostChange(
        before=float(each[wrong_before].sum()),
        after=float(each[wrong_after].sum()),
        standard_error=sqrt(float(np.square(each[changed]).sum())),
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
