"""The threshold of the policy, chosen by what its errors cost."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantood.training.judging.outcomes import (
    accepted,
    confusion,
    scene_weights,
    source_weights,
)

FALSE_ACCEPT_COST = 3.0
"""Cost of an *other* let through, in false retakes: the weight of the source project (the earlier
one whose steps this one follows), as it meant it."""
FALSE_RETAKE_COST = 1.0
FEWEST = 5
"""Scenes of a class below which nothing is chosen: the Bayes threshold is taken as it is."""
FEW = 50
"""Scenes of a class below which the choice is told to rest on too few."""


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold with what it costs, the photos that it rests on, and their confusion."""

    threshold: float
    false_accept_cost: float
    false_retake_cost: float
    cost_per_photo: float
    """Of the photos that it was chosen on, at the share of others that was asked for."""
    confusion: dict[str, int]
    towards: float
    standard_errors: float
    plants: int
    others: int
    share_of_others: float
    carried_over: bool = False
    """From a parent that chose it."""
    scenes: tuple[int, int] | None = None
    """That the plants and the others show, if photos of one scene counted as one."""

    @property
    def warning(self) -> str | None:
        """What to say of a threshold that rests on too few photos; None if there are enough."""
        fewest = min(self.scenes or (self.plants, self.others))
        rests = self.rests
        if fewest < FEWEST:
            return (
                f"The threshold {self.threshold:.3f} is the one of the costs alone: {rests} are "
                f"too few to choose another by (at least {FEWEST} of each; {FEW} and more are "
                "good)."
            )
        if fewest < FEW:
            return (
                f"The threshold rests on {rests}, which is few (under {FEW} of a class): more "
                "photos may move it."
            )
        return None

    @property
    def rests(self) -> str:
        """On what it rests, in words."""
        rests = f"{self.plants} plants and {self.others} others"
        if self.scenes is None or tuple(self.scenes) == (self.plants, self.others):
            return rests
        return f"{rests} (of {self.scenes[0]} and {self.scenes[1]} scenes)"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ChosenThreshold:
        """As :meth:`as_dict` wrote it, or another version."""
        return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def choose_threshold(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    false_accept_cost: float = FALSE_ACCEPT_COST,
    false_retake_cost: float = FALSE_RETAKE_COST,
    towards: float | None = None,
    standard_errors: float = 1.0,
    share_of_others: float | None = None,
    sources: Sequence[str] | None = None,
    groups: Sequence[Hashable] | None = None,
) -> ChosenThreshold:
    """Of all thresholds that are as good as the best within the noise, the nearest to Bayes'.

    With the share ``s`` of others among the photos to come and the two error rates, the cost is
    expected to be ``s * false_accept_cost * P(accept | other) + (1 - s) * false_retake_cost *
    P(retake | plant)`` a photo. What these photos tell of a rate, ``k`` errors of ``n``, is the
    posterior of Jeffreys' prior, Beta(k + 1/2, n - k + 1/2): its mean estimates the rate, its
    standard deviation is the noise of that estimate (Brown, Cai and DasGupta 2001, *Interval
    estimation for a binomial proportion*). Unlike the usual ``sqrt(p (1 - p) / n)``
    it does not vanish without errors, and it grows as photos grow few.

    A threshold that costs at most ``standard_errors`` more than the cheapest is as good as that
    (Breiman et al. 1984, *Classification and Regression Trees*, section 3.4.3, which takes 1). If
    ``towards`` is as good, it is the choice. Otherwise it is the middle of the nearest interval
    between two neighbouring probabilities that is, which is as far as can be from changing a
    verdict. With fewer than ``FEWEST`` photos of a class the choice is ``towards`` in any case.

    Photos of one scene are judged alike, right or wrong. With ``groups`` alone each scene counts
    once, its photos sharing that: in the rates, in the usual share of others, and where there have
    to be ``FEWEST``.

    Photos of sources that the model has not seen (leave-one-out scores, pooled) make a better
    choice than photos like those that it was trained on. With ``sources`` every source of a class
    counts alike, since the next camera is one more source. Such a rate is at least as uncertain as
    one of ``(sum w)^2 / sum w^2`` photos that count alike (Kish 1965, *Survey Sampling*, section
    11.7), and as the sources differ: its variance is that of the mean of clusters, each source one,
    or the group that it belongs to (Cochran 1977, *Sampling Techniques*, section 9A.2).

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant), ``[N]``, 0..1.
        false_accept_cost: cost of an other let through, > 0.
        false_retake_cost: cost of a plant sent back, > 0.
        towards: the threshold to prefer where the photos do not tell, inside (0, 1); by default the
            Bayes threshold of the costs, which is right for calibrated probabilities. See
            :func:`bayes_threshold`.
        standard_errors: how much costlier than the cheapest still counts as equally good.
        share_of_others: of the photos to come, 0..1; by default that of these photos.
        sources: of each photo, ``[N]``, if all of a class are to count alike; by default every
            photo, or scene, counts alike.
        groups: of each photo, ``[N]``: its scene; with ``sources``, what its source is one with.

    Raises:
        ValueError: without photos, with a cost that is not positive, or a share out of its range.
    """
    y = np.asarray(labels).ravel()
    p = np.asarray(probabilities, np.float64).ravel()
    if not len(y):
        raise ValueError("no photos to choose a threshold from")
    if false_accept_cost <= 0 or false_retake_cost <= 0:
        raise ValueError("costs must be positive")
    plants, others = int(np.sum(y == 1)), int(np.sum(y != 1))
    once = np.ones(len(y)) if groups is None or sources is not None else scene_weights(y, groups)
    usual = float(once[y != 1].sum() / once.sum())
    share = usual if share_of_others is None else share_of_others
    if not 0 <= share <= 1:
        raise ValueError("the share of others must be between 0 and 1")
    bayes = bayes_threshold(false_accept_cost, false_retake_cost) if towards is None else towards
    costs = share * false_accept_cost, (1 - share) * false_retake_cost
    if sources is None:
        counting, worth, units = once, once, None
    else:
        counting = source_weights(y, sources)
        worth = np.where(y == 1, _effective(counting * (y == 1)), _effective(counting * (y != 1)))
        units = np.unique(list(groups or sources), return_inverse=True)[1]
    scenes = None
    if groups is not None and sources is None:
        scenes = round(float(worth[y == 1].sum())), round(float(worth[y != 1].sum()))
    threshold = (
        bayes
        if min(scenes or (plants, others)) < FEWEST
        else _nearest_good_one(
            y, p, worth, costs, units=units, towards=bayes, standard_errors=standard_errors
        )
    )
    wrong = accepted(p, threshold) != (y == 1)
    rates = [
        float(np.average(wrong[mine], weights=counting[mine])) if mine.any() else 0.0
        for mine in (y != 1, y == 1)
    ]
    return ChosenThreshold(
        threshold=float(threshold),
        false_accept_cost=float(false_accept_cost),
        false_retake_cost=float(false_retake_cost),
        cost_per_photo=float(np.dot(costs, rates)),
        confusion=confusion(y, p, threshold),
        towards=float(bayes),
        standard_errors=float(standard_errors),
        plants=plants,
        others=others,
        share_of_others=float(share),
        scenes=scenes,
    )


def _nearest_good_one(
    y: NDArray[Any],
    p: NDArray[np.float64],
    worth: NDArray[np.float64],
    costs: tuple[float, float],
    *,
    units: NDArray[np.intp] | None,
    towards: float,
    standard_errors: float,
) -> float:
    """The choice of :func:`choose_threshold`.

    ``worth`` says how many photos each is worth, ``costs`` what each of the two error rates does,
    and ``units`` what is wrong together.
    """
    values = np.unique(p)
    edges = np.concatenate(([min(0.0, values[0])], values, [max(1.0, values[-1])]))
    # Any threshold in (edges[i], edges[i + 1]] accepts exactly the photos from edges[i + 1] up.
    rank = np.searchsorted(values, p)
    cost, variance = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for price, plant in zip(costs, (False, True), strict=True):
        mine = (y == 1) == plant
        unit = np.zeros(int(mine.sum()), np.intp) if units is None else units[mine]
        rate, noise = _rate(rank[mine], worth[mine], unit, len(values), plant=plant)
        cost += price * rate
        variance += np.square(price * noise)
    noise = np.sqrt(variance)
    width = np.diff(edges)
    # An interval without width (a probability of exactly 0 or 1) holds no threshold of its own.
    lowest = int(np.argmin(np.where(width > 0, cost, np.inf)))
    limit = cost[lowest] + standard_errors * noise[lowest] + 1e-9
    good = np.flatnonzero((cost <= limit) & (width > 0))
    if np.any((edges[good] < towards) & (towards <= edges[good + 1])):
        return towards
    middles = (edges[good] + edges[good + 1]) / 2
    distance = np.round(np.abs(middles - towards), 12)
    # Of two as near the higher one, since the gate prefers a retake.
    return float(middles[np.flatnonzero(distance == distance.min())[-1]])


def _rate(
    rank: NDArray[np.intp],
    worth: NDArray[np.float64],
    unit: NDArray[np.intp],
    count: int,
    *,
    plant: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Error rate of one class and its noise at each of ``count + 1`` thresholds.

    At the i-th, photos ``[n]`` of rank i and above are accepted.
    """
    names, unit = np.unique(unit, return_inverse=True)
    each = np.bincount(unit * count + rank, worth, len(names) * count).reshape(len(names), count)
    below = np.concatenate([np.zeros((len(names), 1)), np.cumsum(each, axis=1)], axis=1)
    size = below[:, -1:]
    wrong = below if plant else size - below
    rate, noise = _jeffreys(wrong.sum(0), float(size.sum()))
    if len(names) > 1:
        apart = (wrong - size * (wrong.sum(0) / size.sum())) / size.sum()
        between = len(names) / (len(names) - 1) * np.square(apart).sum(0)
        noise = np.maximum(noise, np.sqrt(between))
    return rate, noise


def _effective(counting: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights scaled so that their sum is the number of photos that they are worth."""
    total = np.square(counting).sum()
    return np.asarray(counting * (counting.sum() / total if total else 0.0))


def _jeffreys(
    errors: NDArray[np.float64], count: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of Beta(errors + 1/2, count - errors + 1/2), elementwise."""
    errors = np.clip(errors, 0.0, count)  # sums of fractions may miss their ends by a rounding
    rate = (errors + 0.5) / (count + 1)
    return rate, np.sqrt(rate * (1 - rate) / (count + 2))


def bayes_threshold(
    false_accept_cost: float,
    false_retake_cost: float,
    false_accept_weight: float = 1.0,
    false_retake_weight: float = 1.0,
) -> float:
    """The best threshold for these costs, if a loss with these weights was brought to its minimum.

    The weights scale the odds that the model learns by ``retake / accept``, and a plant is to be
    accepted if its true odds are at least the ratio of the costs (Elkan 2001, *The foundations of
    cost-sensitive learning*, IJCAI, theorem 1 and equation 2). With weights in the ratio of the
    costs it is 0.5.
    """
    odds = false_accept_cost / false_retake_cost * false_retake_weight / false_accept_weight
    return odds / (1 + odds)
