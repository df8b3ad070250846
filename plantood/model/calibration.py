"""Calibration of a gate's network: a straight line in the logit of P(plant). Needs only NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

EPSILON = 1e-7
"""P(plant) is kept this far from 0 and 1 for its logit: in float32 a sigmoid saturates there."""


@dataclass(frozen=True)
class Calibration:
    """``logit' = slope * logit + intercept``; the order of the photos stays what it was.

    Attributes:
        slope: > 0; below 1 the network was too sure of itself.
        intercept: In nats; what the share of plants is expected to be moves it.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            ValueError: The slope is not positive, or one of them is not finite.
        """
        if not (self.slope > 0 and math.isfinite(self.slope) and math.isfinite(self.intercept)):
            raise ValueError("the slope must be positive, and slope and intercept finite")

    def apply(self, plant_probability: ArrayLike) -> NDArray[np.float32]:
        """Calibrated P(plant), float32 of the shape given; not a number stays not a number.

        Args:
            plant_probability: As the network gives it, 0..1.
        """
        return sigmoid(self.slope * logit(plant_probability) + self.intercept).astype(np.float32)


def logit(probability: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of the odds, of probabilities kept `EPSILON` away from 0 and 1."""
    p = np.clip(np.asarray(probability, np.float64), EPSILON, 1 - EPSILON)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(x: ArrayLike) -> NDArray[np.float64]:
    """Inverse of the logit, without overflow."""
    return np.asarray((1 + np.tanh(np.asarray(x, np.float64) / 2)) / 2)
