"""Fingerprints of photos: their bytes, and what they look like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BANDS = 8
"""The hash of 128 bits is cut into this many bands of 16 bits to find candidates."""
MAX_DISTANCE = BANDS - 1
"""Photos whose hashes differ in at most this many of the 128 bits are near-duplicates: then at
least one of the eight bands is equal (pigeonhole), so comparing within bands misses none."""
MARGIN = 2
"""Grey levels that neighbours must differ by to set a bit: the noise of a flat area sets none."""


def perceptual_hash(pixels: NDArray[np.uint8]) -> bytes:
    """Difference hash of a photo ``[H, W, 3]``: 16 bytes, alike for copies of the same picture.

    The grey photo shrunk to 9x8 and 8x9; each bit says whether a pixel is brighter than its right
    or lower neighbour (dHash, N. Krawetz, *Kind of Like That*, 2013; both directions). Resizing,
    recompression and small changes of light leave nearly all bits as they are.
    """
    grey = Image.fromarray(pixels).convert("L")
    wide = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    tall = np.asarray(grey.resize((8, 9), Image.Resampling.BOX), np.int16)
    bits = np.concatenate(
        (
            (wide[:, :-1] > wide[:, 1:] + MARGIN).ravel(),
            (tall[:-1] > tall[1:] + MARGIN).ravel(),
        )
    )
    return np.packbits(bits).tobytes()


def near_duplicate_groups(
    hashes: Sequence[bytes], max_distance: int = MAX_DISTANCE
) -> NDArray[np.int64]:
    """Group number of each photo, ``[N]``: the same for photos linked by near-duplicates.

    Multi-index hashing (Norouzi, Punjani, Fleet 2012): only hashes that share one of the bands
    are compared, so 100,000 photos take seconds, not hours. Groups are the connected components.
    """
    if max_distance > MAX_DISTANCE:
        raise ValueError(f"max_distance must be at most {MAX_DISTANCE}, or pairs would be missed")
    if not hashes:
        return np.zeros(0, np.int64)
    # Equal hashes are one group without any comparison, however many there are.
    table, group_of = np.unique(
        np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 2), axis=0, return_inverse=True
    )
    parent = np.arange(len(table))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for band in range(BANDS):
        for a, b in _close_pairs(table, band, max_distance):
            low, high = sorted((root(a), root(b)))
            parent[high] = low
    roots = np.array([root(i) for i in range(len(table))])
    return np.unique(roots, return_inverse=True)[1][group_of.ravel()]


def _close_pairs(
    table: NDArray[np.uint64], band: int, max_distance: int
) -> Iterator[tuple[int, int]]:
    """Pairs of rows of ``table`` that are equal in one band and differ in few bits in all.

    Sorted by the band, the members of a bucket are neighbours: each row is compared with the one
    ``lag`` places on, for all rows at once, until no bucket is longer than that.
    """
    order = np.argsort(table.view(np.uint16)[:, band], kind="stable")
    key, hashes = table.view(np.uint16)[order, band], table[order]
    first = np.arange(len(table))
    for lag in range(1, len(table)):
        first = first[: np.searchsorted(first, len(table) - lag)]
        first = first[key[first] == key[first + lag]]
        if not len(first):
            return
        differing = np.bitwise_count(hashes[first] ^ hashes[first + lag]).sum(axis=1)
        close = first[differing <= max_distance]
        yield from zip(order[close].tolist(), order[close + lag].tolist(), strict=True)


def members_by_group(groups: NDArray[np.int64]) -> dict[int, list[int]]:
    """Indices of the photos in each group."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    return members
