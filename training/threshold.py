"""The threshold of the policy, chosen by what its errors cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from training.metrics import confusion

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

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def choose_threshold(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    false_accept_cost: float = FALSE_ACCEPT_COST,
    false_retake_cost: float = FALSE_RETAKE_COST,
) -> ChosenThreshold:
    """The threshold of the lowest total cost on these photos.

    The cost only changes where the threshold passes a photo's probability, so every cost holds on
    an interval between two neighbouring probabilities, and the middle of the best interval is as
    far as can be from changing a verdict. Of several best intervals (also of equal cost but with
    different errors) the one nearest to 0.5 is taken, and of two as near the higher one, since the
    gate prefers a retake. The ends count as 0 and 1, so with one class only the threshold stays
    inside (0, 1).

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant), ``[N]``, 0..1.
        false_accept_cost: cost of an other let through, > 0.
        false_retake_cost: cost of a plant sent back, > 0.

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
    best = np.flatnonzero((cost <= cost[width > 0].min() + 1e-9) & (width > 0))
    middles = (edges[best] + edges[best + 1]) / 2
    distance = np.round(np.abs(middles - 0.5), 12)
    nearest = np.flatnonzero(distance == distance.min())[-1]
    threshold = float(middles[nearest])
    return ChosenThreshold(
        threshold=threshold,
        false_accept_cost=float(false_accept_cost),
        false_retake_cost=float(false_retake_cost),
        cost_per_photo=float(cost[best[nearest]] / len(y)),
        confusion=confusion(y, p, threshold),
    )
