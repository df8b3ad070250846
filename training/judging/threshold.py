"""The threshold of the policy, chosen by what its errors cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from plantood.training.judging.metrics import confusion

FALSE_ACCEPT_COST = 3.0
"""Cost of an *other* let through, in false retakes: the source project's weight, as it meant it."""
FALSE_RETAKE_COST = 1.0


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold with what it costs and the confusion that it gives on the photos it is from."""

    threshold: float
    false_accept_cost: float
    false_retake_cost: float
    cost_per_photo: float
    confusion: dict[str, int]
    towards: float = 0.5
    standard_errors: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def choose_threshold(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    false_accept_cost: float = FALSE_ACCEPT_COST,
    false_retake_cost: float = FALSE_RETAKE_COST,
    towards: float = 0.5,
    standard_errors: float = 0.0,
) -> ChosenThreshold:
    """The threshold of the lowest total cost on these photos.

    The cost only changes where the threshold passes a photo's probability, so every cost holds on
    an interval between two neighbouring probabilities, and the middle of the best interval is as
    far as can be from changing a verdict. Of several best intervals (also of equal cost but with
    different errors) the one nearest to ``towards`` is taken, and of two as near the higher one,
    since the gate prefers a retake. The ends count as 0 and 1, so with one class only the threshold
    stays inside (0, 1).

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant), ``[N]``, 0..1.
        false_accept_cost: cost of an other let through, > 0.
        false_retake_cost: cost of a plant sent back, > 0.
        towards: the threshold to prefer where the photos do not tell; see :func:`bayes_threshold`.
        standard_errors: how much costlier than the best an interval may be to count as equally
            good, in standard errors of the best one's total cost (the rule of Breiman et al. 1984,
            *Classification and Regression Trees*, section 3.4.3, which takes 1): the few errors of
            a validation split are mostly luck.

    Raises:
        ValueError: without photos, or with a cost that is not positive.
    """
    y = np.asarray(labels).ravel()
    p = np.asarray(probabilities, np.float64).ravel()
    if not len(y):
        raise ValueError("no photos to choose a threshold from")
    if false_accept_cost <= 0 or false_retake_cost <= 0:
        raise ValueError("costs must be positive")
    values = np.unique(p)
    edges = np.concatenate(([min(0.0, values[0])], values, [max(1.0, values[-1])]))
    # Any threshold in (edges[i], edges[i + 1]] accepts exactly the photos from edges[i + 1] up.
    rank = np.searchsorted(values, p)
    plants = np.bincount(rank[y == 1], minlength=len(values))
    others = np.bincount(rank[y != 1], minlength=len(values))
    plants_below = np.concatenate(([0], np.cumsum(plants)))
    others_from = others.sum() - np.concatenate(([0], np.cumsum(others)))
    cost = false_accept_cost * others_from + false_retake_cost * plants_below
    width = np.diff(edges)
    # An interval without width (a probability of exactly 0 or 1) holds no threshold of its own.
    lowest = int(np.argmin(np.where(width > 0, cost, np.inf)))
    # A photo costs nothing or the cost of its error, independently of the others.
    squares = false_accept_cost**2 * others_from + false_retake_cost**2 * plants_below
    slack = standard_errors * np.sqrt(squares[lowest])
    best = np.flatnonzero((cost <= cost[lowest] + slack + 1e-9) & (width > 0))
    middles = (edges[best] + edges[best + 1]) / 2
    distance = np.round(np.abs(middles - towards), 12)
    nearest = np.flatnonzero(distance == distance.min())[-1]
    threshold = float(middles[nearest])
    return ChosenThreshold(
        threshold=threshold,
        false_accept_cost=float(false_accept_cost),
        false_retake_cost=float(false_retake_cost),
        cost_per_photo=float(cost[best[nearest]] / len(y)),
        confusion=confusion(y, p, threshold),
        towards=float(towards),
        standard_errors=float(standard_errors),
    )


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
