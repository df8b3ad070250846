"""The linear probe: logistic regression on frozen embeddings, weighted and regularised.

Minimises ``sum_i w_i log(1 + exp(-s_i (x_i . k + b))) + penalty/2 |k|^2`` with ``s_i`` = +1 for
plants and -1 for other, ``x_i`` standardised by the weighted mean and variance of each channel, and
``sum w_i = 1``. The bias ``b`` is not penalised. In scikit-learn's terms: ``C = 1 / penalty``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

Vectors = NDArray[np.float32]
PENALTY = 0.3
"""Flat between 0.1 and 0.3 by leave-one-source-out; 0.03 is worse."""
TOLERANCE = 1e-5
"""Largest component of the gradient at which the fit is finished."""


@dataclass(frozen=True)
class Probe:
    """Logit of P(plant) of an embedding: ``embedding . kernel + bias``."""

    kernel: Vectors
    """``[C]``, standardisation folded in."""
    bias: float

    def logits(self, embeddings: Vectors) -> Vectors:
        """``[N, C]`` to ``[N]``; positive is plant."""
        return embeddings @ self.kernel + np.float32(self.bias)


def fit_probe(
    embeddings: Vectors,
    plant: NDArray[np.bool_],
    weights: NDArray[np.float64],
    penalty: float = PENALTY,
) -> Probe:
    """The probe of least loss; rows of weight 0 play no part, not even in the standardisation.

    Args:
        embeddings: ``[N, C]``.
        plant: labels ``[N]``; both occur among the rows that have a weight.
        weights: ``[N]``, >= 0; only their ratios matter.
        penalty: > 0.
    """
    used = np.flatnonzero(weights > 0)
    share = weights[used] / weights[used].sum()
    scaler = StandardScaler()
    x = scaler.fit_transform(embeddings[used], sample_weight=share)
    model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=TOLERANCE)
    model.fit(x, plant[used], sample_weight=share)
    kernel = model.coef_[0] / scaler.scale_
    return Probe(kernel.astype(np.float32), float(model.intercept_[0] - scaler.mean_ @ kernel))
