"""Calibration of a gate's network: a line in the logit of P(plant). Needs only NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

EPSILON = 1e-7
"""P(plant) is kept this far from 0 and 1 for its logit: in float32 a sigmoid saturates there."""


@dataclass(frozen=True)
class Calibration:
    """``logit' = slope * logit + margin * m + intercept``.

    The margin ``m`` says how much nearer a photo is to the plants that the gate remembers than to
    all else (:attr:`plantood.model.parts.neighbours.Distances.margin`). Without it the order of the
    photos stays what it was.

    Attributes:
        slope: > 0; below 1 the network was too sure of itself.
        intercept: In nats; what the share of plants is expected to be moves it.
        margin: >= 0, in nats; 0 asks nothing of the memory.
        pictures: Of the memory, from its beginning, that the margin is measured to: what a gate
            learned later does not change it.
    """

    slope: float = 1.0
    intercept: float = 0.0
    margin: float = 0.0
    pictures: int = 0

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ValueError: The slope is not positive, the margin negative, or one is not finite.
        """
        finite = all(map(math.isfinite, (self.slope, self.intercept, self.margin)))
        if not (finite and self.slope > 0 and self.margin >= 0):
            raise ValueError("the slope must be positive, the margin not negative, and all finite")

    @property
    def unscaled(self) -> Calibration:
        """The margin beside the logit of the network as it is: the order of the photos, no more."""
        return Calibration(margin=self.margin / self.slope, pictures=self.pictures)

    def after(self, first: Calibration) -> Calibration:
        """Both in one: this line, without a margin of its own, of what another one gives."""
        return Calibration(
            self.slope * first.slope,
            self.slope * first.intercept + self.intercept,
            self.slope * first.margin,
            first.pictures,
        )

    def logits(self, plant_probability: ArrayLike, margin: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Calibrated logits, float64 of the shape given; not a number stays not a number.

        Args:
            plant_probability: As the network gives it, 0..1, one or an array of any shape.
            margin: Of the same photos, -2..2, one for all or of the same shape.
        """
        added = self.margin * np.asarray(margin, np.float64) + self.intercept
        return np.asarray(self.slope * logit(plant_probability) + added)

    def apply(self, plant_probability: ArrayLike, margin: ArrayLike = 0.0) -> NDArray[np.float32]:
        """Calibrated P(plant), float32, 0..1; arguments and shape are those of :meth:`logits`."""
        return sigmoid(self.logits(plant_probability, margin)).astype(np.float32)


def logit(probability: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of the odds, of probabilities kept `EPSILON` away from 0 and 1.

    Args:
        probability: 0..1, one or an array of any shape.

    Returns:
        float64 of that shape, -16.2..16.2; not a number stays not a number.
    """
    p = np.clip(np.asarray(probability, np.float64), EPSILON, 1 - EPSILON)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(x: ArrayLike) -> NDArray[np.float64]:
    """Inverse of the logit, without overflow.

    Args:
        x: One number or an array of any shape.

    Returns:
        float64 of that shape, 0..1; not a number stays not a number.
    """
    return np.asarray((1 + np.tanh(np.asarray(x, np.float64) / 2)) / 2)
