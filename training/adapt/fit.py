"""Weighted logistic regression in NumPy, drawn towards where it starts.

Minimises ``sum_i w_i log(1 + exp(-s_i z_i)) + 1/2 sum_j penalty_j (theta_j - start_j)^2`` with
``z = x theta`` and ``s_i`` = +1 for plants and -1 for other. It is convex, so there is one result,
whatever the machine; found by Newton's method, which for this loss is iteratively reweighted least
squares (Hastie, Tibshirani and Friedman 2009, *The Elements of Statistical Learning*, section
4.4.1, https://hastie.su.domains/ElemStatLearn/).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

TOLERANCE = 1e-9
"""Largest component of the gradient at which the fit is finished."""
_SUFFICIENT = 1e-4
"""Share of the decrease that the gradient promises which a step has to bring (Armijo 1966)."""


def fit_logistic(
    x: Vector, plant: NDArray[np.bool_], weights: Vector, penalty: Vector, start: Vector
) -> Vector:
    """The coefficients of least loss.

    Args:
        x: [N,K].
        plant: Labels [N].
        weights: [N], >= 0, summing to about 1.
        penalty: [K], >= 0; what has none must be held by the photos: a bias, if both classes occur.
        start: Coefficients that the penalty draws towards, [K].

    Raises:
        ValueError: A number is not finite.
    """
    if not all(np.isfinite(part).all() for part in (x, weights, penalty, start)):
        raise ValueError("The numbers to fit a logistic regression to are not all finite.")
    sign = np.where(plant, 1.0, -1.0)

    def loss(theta: Vector) -> float:
        misfit = float(weights @ np.logaddexp(0, -sign * (x @ theta)))
        return misfit + 0.5 * float(penalty @ np.square(theta - start))

    theta, value = start.astype(np.float64), loss(start)
    while True:
        wrong = _sigmoid(-sign * (x @ theta))  # probability of the other class
        gradient = penalty * (theta - start) - x.T @ (weights * sign * wrong)
        if np.abs(gradient).max() < TOLERANCE:
            return theta
        curvature = (x.T * (weights * wrong * (1 - wrong))) @ x + np.diag(penalty)
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        promised, size = float(gradient @ step), 1.0
        while (after := loss(theta - size * step)) > value - _SUFFICIENT * size * promised:
            size /= 2
            if size < 1e-10:  # no lower by more than what float64 can tell
                return theta
        theta, value = theta - size * step, after


def _sigmoid(z: Vector) -> Vector:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))
