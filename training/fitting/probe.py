"""The linear probe: logistic regression on frozen embeddings, weighted and regularised.

Minimises ``sum_i w_i log(1 + exp(-s_i (x_i . k + b))) + penalty/2 |k - k0|^2`` with ``s_i`` = +1
for plants and -1 for other, ``x_i`` standardised by the weighted mean and variance of each channel,
and ``sum w_i = 1``. There ``k0`` is 0, the bias ``b`` is not penalised, and in scikit-learn's terms
``C = 1 / penalty``. Where a probe is there to go on from, ``k0`` is its kernel, and the bias is
drawn to its bias alike, so that a strong penalty leaves it as it is.

It is convex, so there is one result; found by L-BFGS (Liu and Nocedal 1989,
https://doi.org/10.1007/BF01589116), of which a step costs two passes over the embeddings, where one
of Newton's costs as many as there are channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from plantood.model.parts.calibration import sigmoid
from plantood.training.common.settings import PENALTY

Vectors = NDArray[np.float32]
TOLERANCE = 1e-6
"""Largest component of the gradient at which the fit is finished."""
STEPS = 5000
"""At most; a few dozen are needed."""


@dataclass(frozen=True)
class Probe:
    """Logit of P(plant) of an embedding: ``embedding . kernel + bias``."""

    kernel: Vectors
    """``[C]``, standardisation folded in."""
    bias: float

    @property
    def weights(self) -> list[Vectors]:
        """Of a dense layer with one unit: kernel ``[C, 1]`` and bias ``[1]``."""
        return [self.kernel[:, None], np.array([self.bias], np.float32)]

    def logits(self, embeddings: Vectors) -> Vectors:
        """``[N, C]`` to ``[N]``; positive is plant."""
        return embeddings @ self.kernel + np.float32(self.bias)

    def probabilities(self, embeddings: Vectors) -> Vectors:
        """P(plant), ``[N, C]`` to ``[N]``."""
        return sigmoid(self.logits(embeddings)).astype(np.float32)


def fit_probe(
    embeddings: Vectors,
    plant: NDArray[np.bool_],
    weights: NDArray[np.floating],
    penalty: float = PENALTY,
) -> Probe:
    """The probe of least loss; rows of weight 0 play no part, not even in the standardisation.

    Args:
        embeddings: ``[N, C]``.
        plant: labels ``[N]``; both occur among the rows that have a weight.
        weights: ``[N]``, >= 0; only their ratios matter.
        penalty: > 0.
    """
    (probe,) = fit_path(embeddings, plant, weights, [penalty])
    return probe


def fit_path(
    embeddings: Vectors,
    plant: NDArray[np.bool_],
    weights: NDArray[np.floating],
    penalties: Sequence[float],
    start: Probe | None = None,
) -> Iterator[Probe]:
    """:func:`fit_probe` for one penalty after the other, each fit begun where the last one ended.

    Args:
        embeddings: ``[N, C]``.
        plant: labels ``[N]``; both occur among the rows that have a weight.
        weights: ``[N]``, >= 0; only their ratios matter.
        penalties: > 0; in falling order they are the quickest.
        start: what to go on from, and be drawn to; None is a kernel of zeros.
    """
    used = np.flatnonzero(weights > 0)
    share = weights[used].astype(np.float64) / weights[used].sum(dtype=np.float64)
    scaler = StandardScaler()
    x = scaler.fit_transform(embeddings[used], sample_weight=share)
    label = plant[used].astype(np.float64)
    first, held = np.zeros(x.shape[1] + 1), np.ones(x.shape[1] + 1)
    held[-1] = start is not None
    if start is not None:
        kernel = start.kernel.astype(np.float64)
        first = np.append(kernel * scaler.scale_, start.bias + scaler.mean_ @ kernel)

    def loss(solution: NDArray[np.float64], penalty: float) -> tuple[float, NDArray[np.float64]]:
        """The value and its gradient ``[C + 1]``; passes over ``x`` are in its own precision."""
        logit = (x @ solution[:-1].astype(x.dtype) + solution[-1]).astype(np.float64)
        moved = held * (solution - first)
        pull = share * (sigmoid(logit) - label)
        value = share @ (np.logaddexp(0, logit) - label * logit) + penalty / 2 * moved @ moved
        slope = np.append(pull.astype(x.dtype) @ x, pull.sum())
        return float(value), slope + penalty * moved

    solution = first
    for penalty in penalties:
        limits = {"gtol": TOLERANCE, "ftol": 0, "maxiter": STEPS, "maxfun": 2 * STEPS}
        # A step is too short for threads to meet: on two busy cores they made it 20 times as long.
        with threadpool_limits(1, user_api="blas"):
            found = minimize(loss, solution, (penalty,), "L-BFGS-B", jac=True, options=limits)
        solution = found.x
        kernel = solution[:-1] / scaler.scale_
        yield Probe(kernel.astype(np.float32), float(solution[-1] - scaler.mean_ @ kernel))
