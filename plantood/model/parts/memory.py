"""The memory of a gate: what it learned from, as compressed embeddings. Needs only NumPy.

With it a gate can say which of the photos that it knows a new one resembles, and can learn from a
handful of new ones without forgetting the old. Of each picture it keeps the embedding along the
leading principal directions of all of them, how much lies beyond these, the label, the source, the
weight, and the logit that the gate gave: numbers from which no photo can be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.arrays import Arrays, Floats, ensure_are, products, unit

DIRECTIONS = 256
PICTURES = 6000
"""What is kept at most: 3.8 MB for an embedding of 1280 channels."""
DRAWN = " (drawn)"
"""Behind the kind of a picture that was drawn for the training, where photos have their source."""


@dataclass(frozen=True)
class Memory(Arrays):
    """A weighted sample of the pictures that a gate learned from.

    An embedding of length 1 is ``mean + code @ directions``, and a rest across these directions of
    which only the squared length is kept.

    Attributes:
        mean: Weighted mean of the embeddings of length 1, float32 [C].
        directions: Orthonormal, by falling variance, float16 [D,C].
        codes: Coordinates along them, float16 [N,D].
        rest: Squared length of what lies beyond them, float32 [N], 0..4.
        logit: Of P(plant), as the gate gave it, calibrated, float32 [N].
        plant: Labels, bool [N].
        source: Index in ``sources``, int32 [N].
        sources: Their names, str [S].
        weight: How much each counts, float32 [N], > 0, summing to 1.
    """

    mean: Floats
    directions: NDArray[np.float16]
    codes: NDArray[np.float16]
    rest: Floats
    logit: Floats
    plant: NDArray[np.bool_]
    source: NDArray[np.int32]
    sources: NDArray[np.str_]
    weight: Floats

    def ensure_sound(self) -> None:
        """As of all `Arrays`; the shapes are those above.

        Raises:
            ValueError: It remembers nothing, an array is of another shape or kind, or a picture's
                source has no name.
        """
        super().ensure_sound()
        if self.codes.ndim != 2 or self.directions.ndim != 2 or not len(self.codes):
            raise ValueError("it holds no pictures")
        (count, leading), channels = self.codes.shape, self.directions.shape[1]
        ensure_are(
            "f",
            mean=(self.mean, (channels,)),
            directions=(self.directions, (leading, channels)),
            codes=(self.codes, (count, leading)),
            rest=(self.rest, (count,)),
            logit=(self.logit, (count,)),
            weight=(self.weight, (count,)),
        )
        ensure_are("b", plant=(self.plant, (count,)))
        ensure_are("i", source=(self.source, (count,)))
        ensure_are("U", sources=(self.sources, (self.sources.size,)))
        if self.source.min() < 0 or self.source.max() >= len(self.sources):
            raise ValueError("a picture has a source that has no name")

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.codes)

    @property
    def names(self) -> NDArray[np.str_]:
        """Source of each picture, str [N]."""
        named: NDArray[np.str_] = self.sources[self.source]
        return named

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """Which pictures are of no source, since they were drawn for the training, bool [N]."""
        return np.char.endswith(self.names, DRAWN)

    def first(self, pictures: int) -> Memory:
        """Its first pictures alone; all where there are not so many."""
        rows = ("codes", "rest", "logit", "plant", "source", "weight")
        return replace(self, **{name: getattr(self, name)[:pictures] for name in rows})

    @cached_property
    def _wide(self) -> Floats:
        """The directions as they are computed with; half precision is for the file."""
        return self.directions.astype(np.float32)

    def encode(self, embedding: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Compress embeddings as those in it are.

        Args:
            embedding: float [M,C], as the scorer returns it.

        Returns:
            Codes float32 [M,D], and the squared length of the rest float32 [M], >= 0.
        """
        centred = unit(embedding) - self.mean
        codes = products(centred, self._wide)
        rest = np.maximum(np.square(centred).sum(1) - np.square(codes).sum(1), 0)
        return np.asarray(codes, np.float32), np.asarray(rest, np.float32)


def remember(
    embeddings: NDArray[np.floating],
    logit: NDArray[np.floating],
    plant: NDArray[np.bool_],
    sources: Sequence[str],
    weights: NDArray[np.floating],
    *,
    pictures: int = PICTURES,
    directions: int = DIRECTIONS,
    seed: int = 0,
) -> Memory:
    """Make the memory of the pictures that a gate was trained on.

    Args:
        embeddings: float [N,C].
        logit: Of P(plant) by the gate, [N].
        plant: Labels [N].
        sources: Where each comes from, [N].
        weights: How much each counted in training, [N], >= 0; those of 0 are left out.
        pictures: Keep at most so many, see :func:`sample`.
        directions: Keep at most so many.
        seed: Of the sample.

    Raises:
        ValueError: No picture has a weight.
    """
    used = np.flatnonzero(np.asarray(weights) > 0)
    if not len(used):
        raise ValueError("A memory needs at least one picture that has a weight.")
    share = np.asarray(weights, np.float64)[used]
    share = share / share.sum()
    x = unit(np.asarray(embeddings)[used])
    mean = (share @ x).astype(np.float32)
    leading = _principal(x - mean, share, directions)
    names, source = np.unique(np.asarray(sources, np.str_)[used], return_inverse=True)
    labels = np.asarray(plant, bool)[used]
    chosen, weight = sample(share, labels * len(names) + source, pictures, seed)
    whole = Memory(
        mean=mean,
        directions=leading.astype(np.float16),
        codes=np.empty((0, len(leading)), np.float16),
        rest=np.empty(0, np.float32),
        logit=np.asarray(logit, np.float32)[used][chosen],
        plant=labels[chosen],
        source=source[chosen].astype(np.int32),
        sources=names,
        weight=weight.astype(np.float32),
    )
    codes, rest = whole.encode(x[chosen])
    return replace(whole, codes=codes.astype(np.float16), rest=rest)


def sample(
    weights: NDArray[np.float64], cells: NDArray[np.integer], count: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Draw at most ``count`` rows so that they stand for all, and say how much each then counts.

    Each is drawn with a probability in proportion to its weight, at most 1, by steps of one along
    the running sum of the probabilities (Madow 1949, "On the theory of systematic sampling, II",
    https://doi.org/10.1214/aoms/1177729988), cell after cell, so that every cell gets its share to
    within one row. What was drawn counts its weight over its probability (Horvitz and Thompson
    1952, https://doi.org/10.1080/01621459.1952.10483446), hence all alike but for those that were
    certain.

    Args:
        weights: [N], > 0.
        cells: Whatever is to be drawn from evenly, an integer for each row, [N].
        count: > 0.
        seed: Of the order within a cell, and of the first step.

    Returns:
        Rows in rising order, and their weights, which sum to 1.
    """
    rng = np.random.default_rng(seed)
    chance = _inclusion(weights, min(count, len(weights)))
    order = np.lexsort((rng.random(len(weights)), cells))
    running = np.cumsum(chance[order])
    steps = np.floor(running - rng.random() + 1e-9)
    drawn = np.sort(order[np.flatnonzero(np.diff(steps, prepend=-1.0))])
    weight = weights[drawn] / chance[drawn]
    return drawn, weight / weight.sum()


def _principal(centred: Floats, share: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The directions of most weighted variance, float64 [D,C]."""
    x = centred * np.sqrt(share)[:, None]
    values, vectors = np.linalg.eigh((x.T @ x).astype(np.float64))
    kept = min(count, len(x), x.shape[1])
    return np.asarray(vectors[:, np.argsort(values)[::-1][:kept]].T)


def _inclusion(weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Probabilities in proportion to the weights, at most 1, that sum to ``count``."""
    chance = np.zeros(len(weights))
    certain = np.zeros(len(weights), bool)
    while True:
        left = count - certain.sum()
        rest = ~certain
        chance = np.where(certain, 1.0, left * weights / max(weights[rest].sum(), 1e-300))
        if not np.any(chance[rest] > 1):
            return np.minimum(chance, 1.0)
        certain |= chance >= 1
