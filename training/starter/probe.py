"""The linear probe: logistic regression on frozen embeddings, weighted and regularised.

Minimises ``sum_i w_i log(1 + exp(-s_i (x_i . k + b))) + penalty/2 |k|^2`` with ``s_i`` = +1 for
plants and -1 for other, ``x_i`` standardised and ``sum w_i = 1``, by Newton's method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
PENALTY = 0.3
"""Flat between 0.1 and 0.3 by leave-one-source-out; 0.03 is worse."""


@dataclass(frozen=True)
class Probe:
    """Logit of P(plant) of an embedding: ``embedding . kernel + bias``."""

    kernel: NDArray[np.float32]
    """``[C]``, standardisation folded in."""
    bias: float

    def logits(self, embeddings: Vectors) -> NDArray[np.float32]:
        """``[N, C]`` to ``[N]``; positive is plant."""
        return embeddings @ self.kernel + np.float32(self.bias)


def fit_probe(
    embeddings: Vectors,
    plant: NDArray[np.bool_],
    weights: NDArray[np.float64],
    penalty: float = PENALTY,
    tolerance: float = 1e-5,
) -> Probe:
    """The probe of least loss; rows of weight 0 play no part, not even in the standardisation."""
    used = np.flatnonzero(weights > 0)
    x = np.array(embeddings[used], np.float32)
    w = (weights[used] / weights[used].sum()).astype(np.float32)
    sign = np.where(plant[used], 1.0, -1.0).astype(np.float32)
    mean = w @ x
    x -= mean
    scale = np.sqrt(np.maximum(w @ (x * x), 1e-10))
    x /= scale

    def loss(solution: NDArray[np.float64], margin: NDArray[np.float32]) -> float:
        data = float((w * np.logaddexp(0.0, -margin)).sum(dtype=np.float64))
        return data + 0.5 * penalty * float(solution[:-1] @ solution[:-1])

    def margins(solution: NDArray[np.float64]) -> NDArray[np.float32]:
        return sign * (x @ solution[:-1].astype(np.float32) + np.float32(solution[-1]))

    solution = np.zeros(x.shape[1] + 1)
    margin = margins(solution)
    value = loss(solution, margin)
    for iteration in range(60):
        wrong = 1.0 / (1.0 + np.exp(np.clip(margin, -50.0, 50.0)))
        pull = -(w * sign * wrong)
        gradient = np.append((pull @ x) + penalty * solution[:-1], pull.sum())
        if iteration in (0, 3, 8, 20):  # a new Hessian costs as much as forty gradients
            hessian = _hessian(x, w * wrong * (1.0 - wrong), penalty)
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while True:
            candidate = solution - length * step
            margin = margins(candidate)
            found = loss(candidate, margin)
            if found <= value or length < 1e-3:
                break
            length *= 0.5
        gain, solution, value = value - found, candidate, found
        if gain < tolerance * value:
            break
    kernel = solution[:-1] / scale
    return Probe(kernel.astype(np.float32), float(solution[-1] - mean @ kernel))


def _hessian(
    x: NDArray[np.float32], curvature: NDArray[np.float32], penalty: float
) -> NDArray[np.float64]:
    """``[C + 1, C + 1]`` of the loss above; the bias, last, is not penalised."""
    rooted = x * np.sqrt(curvature)[:, None]
    channels = x.shape[1]
    hessian = np.empty((channels + 1, channels + 1))
    hessian[:-1, :-1] = rooted.T @ rooted
    hessian[:-1, :-1] += penalty * np.eye(channels)
    hessian[-1, :-1] = hessian[:-1, -1] = curvature @ x
    hessian[-1, -1] = curvature.sum() + 1e-9
    return hessian
