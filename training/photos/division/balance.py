"""Sample weights that even out classes and sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.settings import BALANCES
from plantood.training.photos.data import LabelledPhoto


def sample_weights(photos: Sequence[LabelledPhoto], balance: str = "none") -> NDArray[np.float32]:
    """One weight per photo, ``[N]``, mean 1.

    ``class``: both classes weigh the same. ``source``: within its class a source weighs as the
    square root of its size, so that large collections count more than small ones, but not in
    proportion; the classes keep their own totals. ``both``: the two together.

    Raises:
        ValueError: if there is no such balance.
    """
    if balance not in BALANCES:
        raise ValueError(f"balance must be one of {', '.join(BALANCES)}, not {balance!r}")
    labels = np.array([photo.label for photo in photos])
    weights = np.ones(len(photos))
    if balance in ("source", "both"):
        cells = [(photo.label, photo.source) for photo in photos]
        size = Counter(cells)
        weights = np.array([size[cell] ** -0.5 for cell in cells])
        for label in np.unique(labels):
            weights[labels == label] /= weights[labels == label].mean()
    if balance in ("class", "both"):
        for label in np.unique(labels):
            weights[labels == label] /= weights[labels == label].sum()
        weights /= weights.mean()
    return weights.astype(np.float32)
