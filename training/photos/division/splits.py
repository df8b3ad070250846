"""Division into train, val and test: by content, so that it never depends on names or order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
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
    groups: tuple[int, ...]
    """Number of the group of each of the photos: near-duplicates and what shares a `group`."""

    @property
    def group_of(self) -> dict[str, int]:
        """The same by the digest of the photo."""
        return {p.sha256: group for p, group in zip(self.photos, self.groups, strict=True)}


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


def divide(photos: Sequence[LabelledPhoto], named: Iterable[tuple[str, str]] = ()) -> Division:
    """Give every scanned photo a split; near-duplicates and photos of one `group` stay together.

    A split named by the manifest stands. Photos without one follow one of their own that has one
    (the first of train, val, test that occurs), else all of a group go where the lowest digest of
    the group falls. Returned in the order of their digests, whatever the order given.

    Args:
        photos: scanned, each once.
        named: more groups that some of them belong to: digest and name of the group.
    """
    ordered = sorted(photos, key=lambda photo: photo.sha256)
    groups = joined_groups(ordered, named)
    divided: list[LabelledPhoto] = list(ordered)
    crossings = []
    for indices in members_by_group(groups).values():
        group = [ordered[i] for i in indices]
        given = [name for name in FRACTIONS if any(photo.split == name for photo in group)]
        if len(given) > 1:
            crossings.append(tuple(group))
        split = given[0] if given else split_of(group[0].sha256)
        for i, photo in zip(indices, group, strict=True):
            divided[i] = replace(photo, split=photo.split or split)
    return Division(tuple(divided), tuple(crossings), tuple(groups.tolist()))


def joined_groups(
    photos: Sequence[LabelledPhoto], named: Iterable[tuple[str, str]] = ()
) -> NDArray[np.int64]:
    """Group number of each photo, ``[N]``: the same for near-duplicates and for one `group`.

    Args:
        photos: scanned, each once.
        named: as for :func:`divide`.
    """
    joined = near_duplicate_groups([photo.look for photo in photos])
    place = {photo.sha256: index for index, photo in enumerate(photos)}
    first = dict(place)  # a group may be called by the digest of the photo that all are cut from
    own = [(photo.sha256, name) for photo in photos for name in photo.groups]
    for digest, key in sorted({*own, *named}):
        index = place[digest]
        other = first.setdefault(key, index)
        if joined[other] != joined[index]:
            joined[joined == joined[index]] = joined[other]
    return joined
