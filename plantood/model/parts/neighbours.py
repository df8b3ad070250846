"""Which remembered pictures a photo is near to: how near to plants, how near to all else, to which.

By the k-th nearest neighbour (Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest
Neighbors", https://proceedings.mlr.press/v162/sun22d.html), found by comparing with all: for some
thousand pictures of 256 numbers that takes about 0.4 ms. Needs only NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.arrays import Floats, products
from plantood.model.parts.memory import Memory

NEIGHBOURS = 10
PIECE = 1024
"""Pictures that are compared with all at a time."""
NEAREST = 5
"""Pictures that explain a verdict."""
DECIMALS = 3
"""Of the distances of single pictures, which are for people."""


class Neighbour(NamedTuple):
    """A remembered picture that a photo is near to.

    Attributes:
        label: What it is.
        source: Camera, place or collection that it came from.
        distance: Euclidean, of embeddings of length 1: 0 (alike) to 2 (opposite).
    """

    label: Literal["plant", "other"]
    source: str
    distance: float


class Distances(NamedTuple):
    """Euclidean distances of embeddings of length 1, float32 [M], 0..2.

    Attributes:
        plants: To the k-th nearest plant.
        others: To the k-th nearest of what is not a plant.
    """

    plants: Floats
    others: Floats

    @property
    def margin(self) -> Floats:
        """How much nearer the plants are than the others, float32 [M]; negative if they are not."""
        return self.others - self.plants


class Neighbours:
    """A memory, made ready to be asked."""

    def __init__(self, memory: Memory, k: int = NEIGHBOURS) -> None:
        """Take the memory apart by class.

        Args:
            memory: Of both classes.
            k: Which neighbour counts; the farthest if there are fewer.

        Raises:
            ValueError: There is none of a class.
        """
        if memory.plant.all() or not memory.plant.any():
            raise ValueError("Neighbours of both classes need plants and others in the memory.")
        self._memory = memory
        self._k = k
        codes = memory.codes.astype(np.float32)
        lengths = np.square(codes).sum(1) + memory.rest
        rows = [np.flatnonzero(mine) for mine in (memory.plant, ~memory.plant)]
        self._of_class = [(codes[mine], lengths[mine]) for mine in rows]
        self._rows = np.concatenate(rows)

    @property
    def channels(self) -> int:
        """C of the embeddings that it compares."""
        return len(self._memory.mean)

    def distances(self, embedding: NDArray[np.floating]) -> Distances:
        """Distances of embeddings, float [M,C].

        What lies beyond the directions of the memory is taken for perpendicular to that of any
        picture in it: all that is kept of it is its length.
        """
        return self._of(*self._memory.encode(embedding))

    def of_remembered(self) -> Distances:
        """Distances of the pictures of the memory, each of them among its own neighbours."""
        return self._of(self._memory.codes.astype(np.float32), self._memory.rest)

    def _of(self, codes: Floats, rest: Floats) -> Distances:
        """Piece by piece, so that many do not need much memory at once."""
        parts = [Distances(*map(self._kth, self._squared(*part))) for part in _pieces(codes, rest)]
        return Distances(*(np.concatenate(side) for side in zip(*parts, strict=True)))

    def nearest(
        self, embedding: NDArray[np.floating], k: int = NEAREST
    ) -> list[tuple[Neighbour, ...]]:
        """The nearest pictures of either class, for each embedding of float [M,C].

        For the reason given at :meth:`distances`, a picture that is itself remembered is not quite
        at 0.

        Args:
            embedding: As the scorer returns it.
            k: How many, at least 1; all if there are fewer.

        Returns:
            For each embedding the nearest first; distances to `DECIMALS` places.
        """
        codes, rest = self._memory.encode(embedding)
        squared = np.concatenate(self._squared(codes, rest), axis=1)
        k = min(k, len(self._rows))
        found = self._rows[np.argpartition(squared, k - 1, axis=1)[:, :k]]
        # Of the few, from the differences themselves: what near ones lose above, where large
        # numbers cancel, depends on how many photos are asked for at once.
        apart = np.square(codes[:, None] - self._memory.codes[found].astype(np.float32)).sum(2)
        distances = np.sqrt(apart + rest[:, None] + self._memory.rest[found])
        order = np.argsort(distances, axis=1, kind="stable")
        return [
            tuple(map(self._neighbour, at[of].tolist(), row[of].tolist()))
            for at, row, of in zip(found, distances, order, strict=True)
        ]

    def _neighbour(self, row: int, distance: float) -> Neighbour:
        label: Literal["plant", "other"] = "plant" if self._memory.plant[row] else "other"
        source = str(self._memory.sources[self._memory.source[row]])
        return Neighbour(label, source, round(distance, DECIMALS))

    def _squared(self, codes: Floats, rest: Floats) -> list[Floats]:
        """Squared distances to the plants and to the others, float32 [M,P] and [M,O]."""
        own = (np.square(codes).sum(1) + rest)[:, None]
        return [lengths - 2 * products(codes, known) + own for known, lengths in self._of_class]

    def _kth(self, squared: Floats) -> Floats:
        at = min(self._k, squared.shape[1]) - 1
        nearest = np.partition(squared, at, axis=1)[:, at]
        return np.asarray(np.sqrt(np.maximum(nearest, 0)), np.float32)


def _pieces(codes: Floats, rest: Floats) -> Iterator[tuple[Floats, Floats]]:
    for start in range(0, max(1, len(codes)), PIECE):
        yield codes[start : start + PIECE], rest[start : start + PIECE]
