"""Division into train, val and test: by content, so that it never depends on names or order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.hashes import members_by_group, near_duplicate_groups

FRACTIONS = {"train": 0.70, "val": 0.15, "test": 0.15}
"""Share of each split where the manifest does not decide."""


@dataclass(frozen=True)
class Division:
    """Photos with their split, and what is doubtful about it."""

    photos: tuple[LabelledPhoto, ...]
    crossings: tuple[tuple[LabelledPhoto, ...], ...]
    """Groups of near-duplicates that the manifest itself puts on different sides."""


def split_of(digest: str) -> str:
    """The split that a content digest falls into; the same on every machine and for ever.

    The digest is hashed once more, so that the choice has nothing to do with any other use of it.
    """
    number = int.from_bytes(hashlib.sha256(f"split:{digest}".encode()).digest()[:8], "big")
    position = number / 2**64
    edge = 0.0
    for name, fraction in FRACTIONS.items():
        edge += fraction
        if position < edge:
            return name
    return name


def divide(photos: Sequence[LabelledPhoto]) -> Division:
    """Give every scanned photo a split; near-duplicates and photos of one `group` stay together.

    A split named by the manifest stands. Photos without one follow one of their own that has one
    (the first of train, val, test that occurs), else all of a group go where the lowest digest of
    the group falls. Returned in the order of their digests, whatever the order given.
    """
    ordered = sorted(photos, key=lambda photo: photo.sha256)
    alike = near_duplicate_groups([photo.look for photo in ordered])
    groups = members_by_group(_joined(alike, ordered))
    divided: list[LabelledPhoto] = []
    crossings = []
    for indices in groups.values():
        group = [ordered[i] for i in indices]
        named = [name for name in FRACTIONS if any(photo.split == name for photo in group)]
        if len(named) > 1:
            crossings.append(tuple(group))
        split = named[0] if named else split_of(group[0].sha256)
        divided += [replace(photo, split=photo.split or split) for photo in group]
    return Division(
        photos=tuple(sorted(divided, key=lambda photo: photo.sha256)), crossings=tuple(crossings)
    )


def _joined(groups: NDArray[np.int64], photos: Sequence[LabelledPhoto]) -> NDArray[np.int64]:
    """The groups ``[N]``, joined where photos name the same group or one is another's origin."""
    joined = groups.copy()
    first: dict[str, int] = {}
    for key, index in [(photo.sha256, i) for i, photo in enumerate(photos)] + [
        (photo.group, i) for i, photo in enumerate(photos) if photo.group
    ]:
        other = first.setdefault(key, index)
        if joined[other] != joined[index]:
            joined[joined == joined[index]] = joined[other]
    return joined
