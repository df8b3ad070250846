"""Reference statistics of the training photos: how unfamiliar is an embedding?

A photo far from everything that the classifier was trained on deserves no trust, whatever its
plant probability. The distance is Mahalanobis's, on L2-normalised embeddings (Mueller and Hein
2025, "Mahalanobis++", https://arxiv.org/abs/2505.18032; after Lee et al. 2018,
https://arxiv.org/abs/1807.03888), under the covariance of probabilistic PCA (Tipping and Bishop
1999, https://doi.org/10.1111/1467-9868.00196): full variances along the leading directions, one
common variance for all the rest, so that a thousand dimensions need only some hundred photos.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plantood.model.arrays import Arrays, unit

#: The distance that counts as 1: this percentile of the calibration photos.
PERCENTILE = 99.0
COMPONENTS = 64


@dataclass(frozen=True)
class Reference(Arrays):
    """A Gaussian around the normalised embeddings of the training photos.

    Attributes:
        mean: float32 [C].
        components: Orthonormal leading directions, float32 [K,C].
        variances: Variance along each, float32 [K].
        noise_variance: Variance along every other direction, float32 scalar array.
        scale: Distance that counts as 1, float32 scalar array.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    noise_variance: NDArray[np.float32]
    scale: NDArray[np.float32]

    def distance(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        r"""Return the Mahalanobis distance, float [N,C] -> float32 [N], >= 0.

        With :math:`z = U (x - \mu)`: :math:`d^2 = \sum_i z_i^2 / \lambda_i + r / \sigma^2`,
        where :math:`r = |x - \mu|^2 - |z|^2` is what the leading directions do not explain.
        """
        centred = unit(embedding) - self.mean
        projected = centred @ self.components.T
        residual = np.square(centred).sum(1) - np.square(projected).sum(1)
        squared = (np.square(projected) / self.variances).sum(1)
        squared += np.maximum(residual, 0) / self.noise_variance
        return np.asarray(np.sqrt(squared), np.float32)

    def unfamiliarity(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the distance in units of the calibration photos' 99th percentile.

        Args:
            embedding: float [N,C], as the scorer returns it.

        Returns:
            float32 [N], >= 0; above 1 is rarer than one training photo in a hundred.
        """
        return self.distance(embedding) / self.scale


def fit(
    embeddings: NDArray[np.floating],
    *,
    calibration: NDArray[np.floating] | None = None,
    components: int = COMPONENTS,
) -> Reference:
    """Fit the reference statistics.

    Args:
        embeddings: float [N,C] of the training photos. The reason `unfamiliar` asks whether what
            the classifier calls a plant looks like the plants it knows, so give those of plants.
        calibration: float [M,C] of photos of the same kind that were not in ``embeddings`` (the
            validation split), to set the scale; default ``embeddings``, which is optimistic.
        components: Leading directions kept; fewer if there are not enough photos.

    Raises:
        ValueError: There are fewer than 3 embeddings.
    """
    if len(embeddings) < 3:
        raise ValueError(f"Reference statistics need at least 3 embeddings, not {len(embeddings)}.")
    x = unit(embeddings).astype(np.float64)
    mean = x.mean(0)
    _, singular, directions = np.linalg.svd(x - mean, full_matrices=False)
    variances = np.square(singular) / (len(x) - 1)
    kept = min(components, len(x) - 2, x.shape[1] - 1)
    # Maximum likelihood: the mean of the variances left over (Tipping and Bishop 1999, eq. 8).
    noise = max(variances[kept:].sum() / (x.shape[1] - kept), 1e-12)
    unscaled = Reference(
        mean=mean.astype(np.float32),
        components=directions[:kept].astype(np.float32),
        variances=np.maximum(variances[:kept], noise).astype(np.float32),
        noise_variance=np.array(noise, np.float32),
        scale=np.array(1, np.float32),
    )
    distances = unscaled.distance(embeddings if calibration is None else calibration)
    scale = max(np.percentile(distances, PERCENTILE), 1e-6)
    return replace(unscaled, scale=np.array(scale, np.float32))
