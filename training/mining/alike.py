"""Near-duplicates in the reviewer's pile: one of them is enough, and none of what is labelled.

Two photos are alike if their looks are (:mod:`plantood.training.photos.hashes`), or if their
embeddings point in nearly the same direction and their looks do not contradict that: either alone
would have to be stricter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.defaults import BATCH
from plantood.errors import UnreadablePhoto
from plantood.model.runtime import Scorer
from plantood.photo.images import Limits, load_image, to_model_input
from plantood.training.features.cache import batches_of
from plantood.training.photos.hashes import (
    LEAST_ALIKE,
    Indices,
    Looks,
    look_of,
    pairs_of_interest,
)
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track
from plantood.training.rounds.plain import read_file

LEAST_COSINE = 0.92
"""Of two embeddings, from which the photos may be alike although their looks say less;
`benchmarks.bursts` measures both limits."""
LEAST_CORRELATION = 0.6
"""Of the looks of such photos."""


@dataclass
class Fingerprints:
    """Photos that can be compared.

    Attributes:
        files: Of each photo.
        looks: Of each, as :func:`plantood.training.photos.hashes.look_of` gives them.
        embeddings: Of length 1, float16 ``[C]`` each.
    """

    files: list[Path] = field(default_factory=list)
    looks: list[bytes] = field(default_factory=list)
    embeddings: list[NDArray[np.float16]] = field(default_factory=list)

    def __add__(self, other: Fingerprints) -> Fingerprints:
        """Both, these first."""
        return Fingerprints(
            self.files + other.files,
            self.looks + other.looks,
            self.embeddings + other.embeddings,
        )

    def vectors(self, indices: Indices) -> NDArray[np.float32]:
        """The embeddings of some photos, ``[n, C]``."""
        return np.stack([self.embeddings[index] for index in indices]).astype(np.float32)


def fingerprints(
    files: Sequence[Path], scorer: Scorer, limits: Limits, description: str
) -> Fingerprints:
    """Decode and embed photos; files that cannot be read, or are above limits, are passed over."""
    found = Fingerprints()

    def decoded() -> Iterator[NDArray[np.uint8]]:
        read = map_in_order(
            lambda file: _decoded(file, scorer.input_size, limits), files, ahead=4 * BATCH
        )
        for file, one in zip(files, track(read, len(files), description), strict=True):
            if one is not None:
                look, pixels = one
                found.files.append(file)
                found.looks.append(look)
                yield pixels

    for batch in batches_of(decoded(), BATCH):
        embeddings = scorer.score(batch).embedding
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        found.embeddings += list((embeddings / np.maximum(lengths, 1e-12)).astype(np.float16))
    return found


def _decoded(file: Path, size: int, limits: Limits) -> tuple[bytes, NDArray[np.uint8]] | None:
    try:
        image = load_image(read_file(file, limits.max_bytes), limits)
    except (OSError, UnreadablePhoto):
        return None
    return look_of(image.pixels), to_model_input(image, size)


def alike_to_earlier(photos: Fingerprints, first: int) -> dict[int, int]:
    """Photos that are alike to an earlier one that stays, with the index of that one.

    Args:
        photos: in the order in which they are to stay.
        first: index of the first of them that may go.
    """
    looks = Looks(photos.looks)
    stays = np.ones(len(looks), bool)
    gone: dict[int, int] = {}

    def undecided(low: Indices, high: Indices) -> NDArray[np.bool_]:
        return stays[low] & stays[high]

    def close(rows: Indices, columns: Indices) -> NDArray[np.bool_]:
        of_looks = looks.may_be_alike(rows, columns) | looks.both_flat(rows[:, None], columns)
        cosines = photos.vectors(rows) @ photos.vectors(columns).T
        return of_looks | (cosines >= LEAST_COSINE)

    # In this order, whether the earlier one of a pair stays is known once the pair comes.
    for pairs in pairs_of_interest(len(looks), undecided, close, first):
        for low, high in pairs[_alike(photos, looks, pairs)].tolist():
            if stays[low] and stays[high]:
                stays[high] = False
                gone[high] = low
    return gone


def _alike(photos: Fingerprints, looks: Looks, pairs: Indices) -> NDArray[np.bool_]:
    """Which of the pairs ``[n, 2]`` are alike, ``[n]``."""
    correlations = looks.correlations(pairs)
    alike = looks.both_flat(*pairs.T) | (correlations >= LEAST_ALIKE)
    open_ = np.flatnonzero(~alike & (correlations >= LEAST_CORRELATION))
    if len(open_):
        one, two = (photos.vectors(side) for side in pairs[open_].T)
        alike[open_] = (one * two).sum(axis=1) >= LEAST_COSINE
    return alike
