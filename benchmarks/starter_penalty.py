"""The starter's probe with a penalty on what separates the sources of a class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from plantood.model.parts.calibration import sigmoid
from plantood.training.common.settings import PENALTY
from plantood.training.fitting.probe import STEPS, TOLERANCE, Probe


def fit_apart(
    embeddings: NDArray[np.float32],
    plant: NDArray[np.bool_],
    weights: NDArray[np.float64],
    sources: NDArray[np.str_],
    factor: float,
) -> Probe:
    """`fit_probe`, its penalty ``|k|^2`` become ``|k|^2 + factor * k' B k``.

    ``B`` is the scatter between the sources of a class (as in Fisher 1936, *The use of multiple
    measurements in taxonomic problems*, whose classes are sources here): ``k' B k`` is the variance
    of the mean logits of the sources of a class, summed over both.

    Args:
        embeddings: ``[N, C]``.
        plant: labels ``[N]``.
        weights: ``[N]``, >= 0.
        sources: of each picture, ``[N]``; empty for what is made of several, which is in no ``B``.
        factor: >= 0; with 0 it is `fit_probe`.
    """
    used = np.flatnonzero(weights > 0)
    share = weights[used] / weights[used].sum()
    scaler = StandardScaler()
    x = scaler.fit_transform(embeddings[used], sample_weight=share)
    label = plant[used].astype(np.float64)
    apart = np.sqrt(factor) * between(x, plant[used], share, sources[used])

    def loss(solution: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        kernel = solution[:-1]
        logit = (x @ kernel.astype(x.dtype) + solution[-1]).astype(np.float64)
        pull = share * (sigmoid(logit) - label)
        along = apart @ kernel
        value = share @ (np.logaddexp(0, logit) - label * logit)
        value += PENALTY / 2 * (kernel @ kernel + along @ along)
        slope = pull.astype(x.dtype) @ x + PENALTY * (kernel + along @ apart)
        return float(value), np.append(slope, pull.sum())

    limits = {"gtol": TOLERANCE, "ftol": 0, "maxiter": STEPS, "maxfun": 2 * STEPS}
    with threadpool_limits(1, user_api="blas"):
        start = np.zeros(x.shape[1] + 1)
        solution = minimize(loss, start, method="L-BFGS-B", jac=True, options=limits).x
    kernel = solution[:-1] / scaler.scale_
    return Probe(kernel.astype(np.float32), float(solution[-1] - scaler.mean_ @ kernel))


def between(
    x: NDArray[np.float32],
    plant: NDArray[np.bool_],
    share: NDArray[np.float64],
    sources: NDArray[np.str_],
) -> NDArray[np.float64]:
    """Rows ``[S, C]`` whose products sum to ``B``: where each source is, seen from its class."""
    rows = []
    for label in (True, False):
        of_class = (plant == label) & (sources != "")
        centre = share[of_class] @ x[of_class] / share[of_class].sum()
        for source in np.unique(sources[of_class]):
            mine = of_class & (sources == source)
            part = share[mine].sum()
            place = share[mine] @ x[mine] / part
            rows.append(np.sqrt(part / share[of_class].sum()) * (place - centre))
    return np.array(rows)
