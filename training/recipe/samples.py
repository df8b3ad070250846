"""What a recipe works with: photos that are given, and pictures that are to be drawn of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TEST = "test"
"""The split that is measured and never trained on."""
PLANT_KINDS = frozenset({"planted", "planted_toned", "toned", "closeup"})
"""Kinds of made pictures that are plants; all others are not."""


@dataclass(frozen=True)
class Row:
    """One labelled photo."""

    path: Path
    plant: bool
    source: str
    split: str
    trusted: bool = True
    """False where a look at the photo contradicts its label."""


@dataclass(frozen=True)
class Sample:
    """One picture to be drawn: ``plant`` is its label, ``sources`` all that it is made of.

    ``paths`` are the photos that :mod:`.draw` needs, by role; ``ground`` is None if drawn.
    ``measured_only`` marks photos that nothing is ever trained on: the test split.
    """

    kind: str
    plant: bool
    sources: tuple[str, ...]
    seed: tuple[int, ...]
    photos: tuple[Path, ...] = ()
    ground: Path | None = None
    extra: Path | None = None
    measured_only: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every photo that goes into it."""
        return (*self.photos, *(path for path in (self.ground, self.extra) if path is not None))
