"""What is kept of photos that were learned from, in one way wherever it is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.memory import Memory, remember
from plantood.training.photos.dataset import Photos, labels_of
from plantood.training.photos.division.balance import sample_weights


def remember_photos(
    photos: Photos, embeddings: NDArray[np.floating], logits: NDArray[np.floating]
) -> Memory:
    """The memory of photos: classes alike, sources by the root of their size.

    Args:
        photos: learned from, at least one.
        embeddings: of the same photos, ``[N, C]``.
        logits: of P(plant) by the gate, ``[N]``.
    """
    return remember(
        embeddings,
        logits,
        labels_of(photos) == 1,
        [photo.source for photo in photos],
        sample_weights(photos, "both"),
    )
