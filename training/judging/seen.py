"""Which photos a gate model and its ancestors have learned from, so that none is judged on them.

An entry remembers them in ``metrics.json`` under `SEEN`, its ancestors' with its own, since these
may be deleted: by the first eight bytes of the SHA-256 of each photo's bytes, sorted, in base64.
That two of a million photos agree in those by chance is less likely than one in ten million.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from plantood.model.entry import GateModel
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Dataset

SEEN = "seen"
DIGITS = 16
"""Hexadecimal digits kept of each digest."""


@dataclass(frozen=True)
class Seen:
    """Photos that a gate model knows, by the beginnings of their digests.

    Attributes:
        train: It, or an ancestor, was trained on them.
        val: It was not, but its weights or its threshold were chosen on them.
        bounded: Nor that, but a promised bound on false accepts was proved on them, which its
            threshold keeps.
    """

    train: frozenset[str] = frozenset()
    val: frozenset[str] = frozenset()
    bounded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, dataset: Dataset, *, bounded: bool = False) -> Seen:
        """What a gate model has seen that is fitted to these photos.

        Args:
            dataset: the photos.
            bounded: whether it keeps a bound that was proved on the test split.
        """
        test = _names(dataset.test) if bounded else frozenset[str]()
        return cls(_names(dataset.train), _names(dataset.val), test)

    def __or__(self, other: Seen) -> Seen:
        """What either of two has seen."""
        train = self.train | other.train
        val = (self.val | other.val) - train
        return Seen(train, val, (self.bounded | other.bounded) - train - val)

    def trained_on(self, photo: LabelledPhoto) -> bool:
        """Whether the photo was trained on."""
        return photo.sha256[:DIGITS] in self.train

    def fitted_on(self, photo: LabelledPhoto) -> bool:
        """Whether the photo was trained on, or weights or a threshold for costs chosen on it.

        If not, it may judge a child: a bound that was proved on it says nothing of that, and a
        threshold that a child keeps for it flatters the parent.
        """
        name = photo.sha256[:DIGITS]
        return name in self.train or name in self.val

    def chosen_on(self, photo: LabelledPhoto) -> bool:
        """Whether weights or a threshold were chosen on the photo, whatever for."""
        name = photo.sha256[:DIGITS]
        return name in self.val or name in self.bounded

    def as_dict(self) -> dict[str, Any]:
        """What stands in ``metrics.json``, by `SEEN`."""
        return {SEEN: {one.name: _packed(getattr(self, one.name)) for one in fields(self)}}


def seen_by(gate: GateModel) -> Seen | None:
    """What a gate model and its ancestors have seen; None if the entry does not say so."""
    record = gate.metrics.get(SEEN)
    if record is None:
        return None
    return Seen(*(_unpacked(record.get(one.name, "")) for one in fields(Seen)))


def _names(photos: Iterable[LabelledPhoto]) -> frozenset[str]:
    return frozenset(photo.sha256[:DIGITS] for photo in photos)


def _packed(names: frozenset[str]) -> str:
    return base64.b64encode(bytes.fromhex("".join(sorted(names)))).decode()


def _unpacked(text: str) -> frozenset[str]:
    digits = base64.b64decode(text).hex()
    return frozenset(digits[i : i + DIGITS] for i in range(0, len(digits), DIGITS))
