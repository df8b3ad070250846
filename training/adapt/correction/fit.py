"""Weighted logistic regression in NumPy, drawn towards where it starts.

Minimises ``sum_i w_i (log(1 + exp(z_i)) - t_i z_i) + 1/2 sum_j penalty_j (theta_j - start_j)^2``
with ``z = x theta``: the cross-entropy of P(plant) with the targets ``t_i``. It is convex, so there
is one result, whatever the machine; found by Newton's method, which for this loss is iteratively
reweighted least squares (Hastie, Tibshirani and Friedman 2009, *The Elements of Statistical
Learning*, section 4.4.1, https://hastie.su.domains/ElemStatLearn/).

It has a Newton of its own since no other will do: it runs where a gate is served, without SciPy and
scikit-learn; its targets lie between 0 and 1, where scikit-learn takes labels only; and it is drawn
towards where it starts, not towards 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.calibration import sigmoid

Vector = NDArray[np.float64]

TOLERANCE = 1e-14
"""Twice the decrease still to be had, by the model of second order, at which the fit is finished:
the Newton decrement (Boyd and Vandenberghe 2004, *Convex Optimization*, section 9.5.1,
https://web.stanford.edu/~boyd/cvxbook/)."""
_SUFFICIENT = 1e-4
"""Share of the decrease that the gradient promises which a step has to bring (Armijo 1966)."""
_SHORTEST = 1e-3
"""Of a step of Newton's. Where P(plant) is 0 or 1 for nearly all photos there is hardly any
curvature, and such a step leads anywhere; the step by the most curvature that there can be always
leads down (Boehning and Lindsay 1988, https://doi.org/10.1007/BF00049423)."""


def fit_logistic(
    x: Vector,
    targets: Vector,
    weights: Vector,
    penalty: Vector,
    start: Vector,
    *,
    begin: Vector | None = None,
) -> Vector:
    """The coefficients of least loss.

    Args:
        x: [N,K].
        targets: [N], 0..1: a label, or what P(plant) should be.
        weights: [N], >= 0, summing to about 1.
        penalty: [K], >= 0; what has none must be held by the photos: a bias, if both
            classes occur.
        start: Coefficients that the penalty draws towards, [K].
        begin: Coefficients to look from, [K], such as those of nearly the same photos: they spare
            steps and change nothing else. By default ``start``.

    Raises:
        ValueError: A number is not finite.
    """
    given = (x, targets, weights, penalty, start, *(() if begin is None else (begin,)))
    if not all(np.isfinite(part).all() for part in given):
        raise ValueError("The numbers to fit a logistic regression to are not all finite.")

    def loss(theta: Vector) -> float:
        z = x @ theta
        misfit = float(weights @ (np.logaddexp(0, z) - targets * z))
        return misfit + 0.5 * float(penalty @ np.square(theta - start))

    steepest = (x.T * (weights / 4)) @ x + np.diag(penalty)
    theta = (start if begin is None else begin).astype(np.float64)
    value = loss(theta)
    while True:
        p = sigmoid(x @ theta)
        gradient = penalty * (theta - start) + x.T @ (weights * (p - targets))
        curvature = (x.T * (weights * p * (1 - p))) @ x + np.diag(penalty)
        step, size = _solved(curvature, gradient), 1.0
        promised = float(gradient @ step)
        while (after := loss(theta - size * step)) > value - _SUFFICIENT * size * promised:
            size /= 2
            if size < _SHORTEST:
                break
        if promised < TOLERANCE or size < _SHORTEST:
            careful = _solved(steepest, gradient)
            if float(gradient @ careful) < TOLERANCE:
                return np.asarray(theta - step if promised < TOLERANCE else theta)
            step, size = careful, 1.0
            if (after := loss(theta - step)) >= value:  # no lower by what float64 can tell
                return theta
        theta, value = theta - size * step, after


def _solved(curvature: Vector, gradient: Vector) -> Vector:
    return np.asarray(np.linalg.lstsq(curvature, gradient, rcond=None)[0])
