"""Near-duplicates in the reviewer's pile: one of them is enough, and none of what is labelled.

Two photos are alike if their looks are (:mod:`plantood.training.photos.hashes`), or if their
embeddings point in nearly the same direction and their looks do not contradict that: either alone
would have to be stricter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    BLOCK,
    close_pairs,
    correlations,
    look_of,
    near_duplicates,
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

    def block(self, start: int) -> NDArray[np.float32]:
        """The embeddings of a block of photos, ``[n, C]``."""
        return np.stack(self.embeddings[start : start + BLOCK]).astype(np.float32)


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
    earlier: dict[int, list[int]] = {}
    for low, high in _pairs(photos, first):
        if high >= first:
            earlier.setdefault(high, []).append(low)
    gone: dict[int, int] = {}
    for index in sorted(earlier):
        stays = [other for other in earlier[index] if other not in gone]
        if stays:
            gone[index] = min(stays)
    return gone


def _pairs(photos: Fingerprints, first: int) -> Iterable[tuple[int, int]]:
    """Pairs of photos that are alike, the earlier one first; of embeddings, from ``first`` on."""
    yield from near_duplicates(photos.looks).tolist()
    for pairs in close_pairs(photos.block, len(photos.embeddings), LEAST_COSINE, first):
        yield from pairs[correlations(photos.looks, pairs) >= LEAST_CORRELATION].tolist()
