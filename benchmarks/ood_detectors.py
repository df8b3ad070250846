"""Detectors of photos unlike those that a gate knows, each after its paper, in NumPy.

All take embeddings of length 1 and give a score a photo, ``[M]``: the higher, the less it is like
what is known. *Known* are the photos that the head was fitted to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.memory import remember
from plantood.model.parts.neighbours import Neighbours

Vectors = NDArray[np.float64]
Score = Callable[[Vectors], Vectors]

RIDGE = 1e-6
"""Added to the diagonal of a scatter matrix, which need not have full rank."""
NEIGHBOURS = 10


@dataclass(frozen=True)
class Known:
    """What a gate was fitted to, and its head."""

    x: Vectors
    """``[N, C]``, of length 1."""
    plant: NDArray[np.bool_]
    source: NDArray[np.str_]
    weights: Vectors
    """In the fit of the head, ``[N]``."""
    kernel: Vectors
    """Of the head: its logit is ``x . kernel + bias``, ``[C]``."""
    bias: float

    @property
    def plants(self) -> Vectors:
        """Those of plants."""
        return self.x[self.plant]

    def logits(self, x: Vectors) -> Vectors:
        """Of P(plant), ``[M]``."""
        return x @ self.kernel + self.bias


def logit(known: Known) -> Score:
    """The head itself: minus its logit of P(plant)."""
    return lambda x: -known.logits(x)


def gaussian(known: Known) -> Score:
    """Distance to all plants under one Gaussian of 64 directions, see :func:`one_gaussian`."""
    return one_gaussian(known.plants)


def within_source(known: Known) -> Score:
    """Distance to the nearest source of plants, under the covariance within sources.

    ``min_k (x - m_k)' S^-1 (x - m_k)`` (Lee et al. 2018), with sources for classes.
    """
    return nearest_class(known.plants, known.source[known.plant])


def relative(known: Known) -> Score:
    """Distance to the nearest source of plants, beyond the distance to all plants.

    ``min_k d_k(x) - d_0(x)``, ``d_0`` under the mean and covariance of all: Ren et al. 2021, "A
    Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
    https://arxiv.org/abs/2106.09022.
    """
    return relative_to(known.plants, known.source[known.plant], known.plants)


def relative_to_all(known: Known) -> Score:
    """The same, beyond the distance to all photos: plants and others are the background."""
    return relative_to(known.plants, known.source[known.plant], known.x)


def neighbours(known: Known) -> Score:
    """Distance to the k-th nearest plant.

    Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors",
    https://proceedings.mlr.press/v162/sun22d.html.
    """
    return lambda x: kth_nearest(known.plants, x)


def plants_against_others(known: Known) -> Score:
    """How much nearer the k-th other is than the k-th plant.

    ``d_k(plants) - d_k(others)``; as a ratio it is the trust score of Jiang et al. 2018, "To Trust
    Or Not To Trust A Classifier", https://arxiv.org/abs/1805.11783.
    """
    others = known.x[~known.plant]
    return lambda x: kth_nearest(known.plants, x) - kth_nearest(others, x)


def plants_against_others_remembered(known: Known) -> Score:
    """The same by the memory of a gate, see :mod:`plantood.model.parts.neighbours`."""
    memory = remember(
        known.x, known.logits(known.x), known.plant, known.source.tolist(), known.weights
    )
    asked = Neighbours(memory, NEIGHBOURS)
    return lambda x: -asked.distances(x).margin.astype(np.float64)


def vim(known: Known) -> Score:
    """What lies off the principal subspace of all photos, as a logit against those of the head.

    ``a |R (x - o)| - log sum_j exp(l_j)``, ``R`` the directions of least variance, ``o`` where all
    logits are 0, and ``a`` such that the first term is as large as the largest logit on average:
    Wang et al. 2022, "ViM: Out-Of-Distribution with Virtual-logit Matching",
    https://arxiv.org/abs/2203.10807. The logits of *other* and *plant* are 0 and that of P(plant).
    """
    return virtual_logit(known.x, known.kernel, known.bias)


def energy(known: Known) -> Score:
    """Minus the free energy of the logits 0 and l, which orders photos as l does.

    ``-log sum_j exp(l_j)``: Liu et al. 2020, "Energy-based Out-of-distribution Detection",
    https://arxiv.org/abs/2010.03759.
    """
    return lambda x: -np.logaddexp(0, known.logits(x))


DETECTORS: dict[str, Callable[[Known], Score]] = {
    "logit": logit,
    "one Gaussian of plants": gaussian,
    "Mahalanobis within sources": within_source,
    "relative Mahalanobis": relative,
    "relative Mahalanobis, all as background": relative_to_all,
    "nearest neighbours": neighbours,
    "plants against others": plants_against_others,
    "plants against others, by the memory": plants_against_others_remembered,
    "ViM": vim,
    "energy": energy,
}


def one_gaussian(x: Vectors, components: int = 64) -> Score:
    """Mahalanobis distance under one Gaussian around rows ``[N, C]`` of length 1.

    ``sqrt((x - m)' S^-1 (x - m))``, Lee et al. 2018, "A Simple Unified Framework for Detecting
    Out-of-Distribution Samples and Adversarial Attacks", https://arxiv.org/abs/1807.03888; of rows
    of length 1 as by Mueller and Hein 2025, "Mahalanobis++", https://arxiv.org/abs/2505.18032. The
    covariance is that of probabilistic PCA (Tipping and Bishop 1999,
    https://doi.org/10.1111/1467-9868.00196): full variances along the leading directions, one
    common variance, the mean of those left over, for all the rest.
    """
    mean = x.mean(0)
    _, singular, directions = np.linalg.svd(x - mean, full_matrices=False)
    variances = np.square(singular) / (len(x) - 1)
    kept = min(components, len(x) - 2, x.shape[1] - 1)
    noise = max(variances[kept:].sum() / (x.shape[1] - kept), 1e-12)
    leading, along = directions[:kept], np.maximum(variances[:kept], noise)

    def distance(points: Vectors) -> Vectors:
        centred = points - mean
        projected = np.square(centred @ leading.T)
        beyond = np.maximum(np.square(centred).sum(1) - projected.sum(1), 0)
        return np.asarray(np.sqrt((projected / along).sum(1) + beyond / noise))

    return distance


def nearest_class(x: Vectors, names: NDArray[np.str_]) -> Score:
    """Squared Mahalanobis distance to the nearest class mean, covariance pooled within classes."""
    means, precision = _within(x, names)
    return lambda points: _distances(points, means, precision).min(1)


def relative_to(x: Vectors, names: NDArray[np.str_], background: Vectors) -> Score:
    """The same less the squared Mahalanobis distance under the Gaussian of a background."""
    means, precision = _within(x, names)
    mean, wide = _within(background, np.zeros(len(background)))

    def score(points: Vectors) -> Vectors:
        own = _distances(points, means, precision).min(1)
        return own - _distances(points, mean, wide)[:, 0]

    return score


def kth_nearest(known: Vectors, x: Vectors, k: int = NEIGHBOURS) -> Vectors:
    """Euclidean distance of each ``[M, C]`` to its k-th nearest of ``[N, C]``, all of length 1."""
    squared = 2 - 2 * np.partition(x @ known.T, -k, axis=1)[:, -k]
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def virtual_logit(x: Vectors, kernel: Vectors, bias: float) -> Score:
    """See :func:`vim`; 512 directions are principal, as the paper takes for up to 1500 channels."""
    origin = -bias * kernel / (kernel @ kernel)
    centred = x - origin
    _, directions = np.linalg.eigh(centred.T @ centred / len(x))
    least = directions[:, : x.shape[1] - min(512, x.shape[1] // 2)]

    def residual(points: Vectors) -> Vectors:
        return np.linalg.norm((points - origin) @ least, axis=1)

    largest = np.maximum(0, x @ kernel + bias)
    scale = largest.mean() / residual(x).mean()
    return lambda points: scale * residual(points) - np.logaddexp(0, points @ kernel + bias)


def _within(x: Vectors, names: NDArray[np.generic]) -> tuple[Vectors, Vectors]:
    """Means of the classes ``[K, C]`` and the precision within them ``[C, C]``."""
    found, index = np.unique(names, return_inverse=True)
    means = np.stack([x[index == k].mean(0) for k in range(len(found))])
    centred = x - means[index]
    scatter = centred.T @ centred + RIDGE * np.eye(x.shape[1])
    return means, np.linalg.inv(scatter) * len(x)


def _distances(points: Vectors, means: Vectors, precision: Vectors) -> Vectors:
    """Squared Mahalanobis distances ``[M, K]``."""
    root = np.linalg.cholesky(precision)
    white, centres = points @ root, means @ root
    return np.stack([np.square(white - centre).sum(1) for centre in centres], 1)
