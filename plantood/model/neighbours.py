"""How near a photo is to the plants that a gate remembers, and how near to all else it remembers.

By the k-th nearest neighbour (Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest
Neighbors", https://proceedings.mlr.press/v162/sun22d.html), found by comparing with all: for some
thousand pictures of 256 numbers that is one product of matrices. Needs only NumPy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plantood.model.arrays import Floats
from plantood.model.memory import Memory

NEIGHBOURS = 10


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
        self._of_class = [(codes[mine], lengths[mine]) for mine in (memory.plant, ~memory.plant)]

    def distances(self, embedding: NDArray[np.floating]) -> Distances:
        """Distances of embeddings, float [M,C].

        What lies beyond the directions of the memory is taken for perpendicular to that of any
        picture in it: all that is kept of it is its length.
        """
        codes, rest = self._memory.encode(embedding)
        own = np.square(codes).sum(1) + rest
        return Distances(*(self._kth(codes, own, *known) for known in self._of_class))

    def _kth(self, codes: Floats, own: Floats, known: Floats, lengths: Floats) -> Floats:
        squared = lengths - 2 * (codes @ known.T)
        at = min(self._k, len(known)) - 1
        nearest = np.partition(squared, at, axis=1)[:, at] + own
        return np.asarray(np.sqrt(np.maximum(nearest, 0)), np.float32)
