"""The training set as a list of recipes: what to draw, from which sources, with which label.

A :class:`Sample` names its kind, its label and *every* source that goes into it, and its pixels
are a function of itself (see :mod:`.draw`). So a source that is left out is left out wholly: its
photos, what was cut from them and the grounds taken from them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from plantood.errors import TrainingDataError
from plantood.training.starter.synthetic import FRAMES

TABLE_SOURCES = ("apple_plantvillage", "citrus_leaves", "maize_plantvillage", "rice_leaf")
"""Leaves on a black, grey or white table: cut out by chroma."""
GROUND_SOURCES = ("plant_seedlings", "beans_uganda")
"""Green plants on the ground: cut out by excess green."""
WINDOW_SOURCE = "plant_seedlings"
"""Plants with bare ground between them, and nothing else that grows there."""
LEAF_SOURCES = ("beans_uganda", "blackgram_field", *TABLE_SOURCES)
"""Leaves near enough that a window of one can be all leaf."""
EXTRA_SOURCES = ("sign_digits_hands", "clothing")
"""What else gets into a farmer's frame."""
TEXTURE_SOURCES = ("dtd_subset", "clothing", "imagenet_samples", "sign_digits_hands")
"""What leaf-shaped pieces that are no leaf are filled with."""
DRAWN = "drawn"
"""The name of a ground that is drawn (a floor or a wall), not taken from a source."""
COMPOSITE_GROUNDS = {
    "soil_NHA078": 5.0,
    "soil_EricEchemane": 5.0,
    "crackforest_asphalt": 3.0,
    WINDOW_SOURCE: 4.0,
    "clothing": 4.0,
    "dtd_subset": 3.0,
    "imagenet_samples": 1.5,
    "plantvillage_background": 1.0,
    DRAWN: 1.5,
}
"""Where the ground of a composite comes from, and how often."""
BARE_GROUNDS = {
    "soil_NHA078": 2.5,
    "soil_EricEchemane": 2.5,
    WINDOW_SOURCE: 2.5,
    "crackforest_asphalt": 1.5,
    "dtd_subset": 1.0,
}
"""Where bare ground comes from, and how often."""

NEEDED_SOURCES = (
    {*TABLE_SOURCES, *GROUND_SOURCES, *LEAF_SOURCES, *EXTRA_SOURCES, *TEXTURE_SOURCES}
    | COMPOSITE_GROUNDS.keys()
    | BARE_GROUNDS.keys()
) - {DRAWN}

COLUMNS = frozenset({"path", "label", "source", "split", "sha256"})
"""What the manifest must hold."""
TEST = "test"
"""The split that is measured and never trained on."""

COPIES_PER_SOURCE, MIN_COPIES, MAX_COPIES = 1100, 2, 16
COUNTS = {
    "planted": 5000,
    "planted_toned": 1500,
    "toned": 1500,
    "closeup": 2000,
    "bare": 2500,
    "seam": 2500,
    "green": 1200,
    "green_seam": 800,
    "window": 1000,
    "ground": 3200,
} | dict.fromkeys(FRAMES, 350)
"""How many pictures of every kind, beside the photos and their copies."""
PLANT_KINDS = frozenset({"planted", "planted_toned", "toned", "closeup"})


@dataclass(frozen=True)
class Row:
    """One labelled photo of the manifest."""

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


def read_rows(manifest: Path, doubtful: Iterable[str] = ()) -> list[Row]:
    """The labelled rows of a manifest; never those without a label (split ``none``).

    ``doubtful`` are prefixes of SHA-256 sums of photos whose label is wrong: measured as they
    are labelled, but not trained on.

    Raises:
        TrainingDataError: if the manifest cannot be read or lacks a column.
    """
    try:
        return _read_rows(manifest, tuple(doubtful))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainingDataError(
            f"{manifest} cannot be read as the manifest of the public photos ({reason}); for your "
            "own photos use: plantood train"
        ) from error


def _read_rows(manifest: Path, prefixes: tuple[str, ...]) -> list[Row]:
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := COLUMNS - set(rows.fieldnames or ()):
            raise TrainingDataError(
                f"{manifest} is not the manifest of the public photos, as it lacks the columns "
                f"{', '.join(sorted(missing))}; for your own photos use: plantood train"
            )
        return [
            Row(
                manifest.parent / row["path"],
                row["label"] == "plant",
                row["source"],
                row["split"],
                trusted=not (prefixes and row["sha256"].startswith(prefixes)),
            )
            for row in rows
            if row["split"] in ("train", "val", TEST)
        ]


def plan(rows: list[Row], seed: int = 0) -> list[Sample]:
    """Every picture of the training set in a fixed order: photos, copies, and what is made."""
    photos = [
        Sample("photo", row.plant, (row.source,), (), (row.path,), measured_only=row.split == TEST)
        for row in rows
    ]
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        if row.split != TEST:
            by_source.setdefault(row.source, []).append(row)
    made: list[Sample] = []
    for number, (kind, count) in enumerate(COUNTS.items()):
        rng = np.random.default_rng((seed, 2, number))
        made += [_make(kind, by_source, rng, (seed, 3, number, n)) for n in range(count)]
    return photos + _copies(by_source, seed) + made


def _copies(by_source: Mapping[str, list[Row]], seed: int) -> list[Sample]:
    """Augmented copies, more of each photo where a source has few."""
    samples = []
    for number, members in enumerate(by_source.values()):
        copies = int(np.clip(round(COPIES_PER_SOURCE / len(members)), MIN_COPIES, MAX_COPIES))
        samples += [
            Sample("copy", row.plant, (row.source,), (seed, 1, number, n, k), (row.path,))
            for n, row in enumerate(members)
            for k in range(copies)
        ]
    return samples


def _make(
    kind: str, by_source: Mapping[str, list[Row]], rng: Generator, seed: tuple[int, ...]
) -> Sample:
    """One sample of a made kind, its photos drawn at random."""

    def some(source: str) -> Path:
        members = by_source[source]
        return members[int(rng.integers(len(members)))].path

    def one_of(names: Iterable[str]) -> str:
        present = [name for name in names if name in by_source]
        return present[int(rng.integers(len(present)))]

    plants = [name for name, members in by_source.items() if members[0].plant]
    others = [name for name, members in by_source.items() if not members[0].plant]
    photos: tuple[Path, ...] = ()
    ground = extra = None
    used: set[str] = set()
    match kind:
        case "planted" | "planted_toned" | "bare" | "seam" | "green_seam":
            below = _weighted(COMPOSITE_GROUNDS, by_source, rng)
            ground = None if below == DRAWN else some(below)
            used |= {below} - {DRAWN}
            if kind != "bare":
                leaf = one_of(TABLE_SOURCES + GROUND_SOURCES)
                photos = tuple(some(leaf) for _ in range(3))
                used.add(leaf)
            if kind in ("seam", "green_seam"):
                texture = one_of(TEXTURE_SOURCES)
                photos = (*photos[:2], some(texture))
                used.add(texture)
            elif rng.random() < (0.5 if kind == "bare" else 0.25):
                beside = one_of(EXTRA_SOURCES)
                extra = some(beside)
                used.add(beside)
        case "toned" | "closeup" | "green" | "window" | "ground":
            source = {
                "toned": lambda: one_of(plants),
                "closeup": lambda: one_of(LEAF_SOURCES),
                "green": lambda: one_of(others),
                "window": lambda: WINDOW_SOURCE,
                "ground": lambda: _weighted(BARE_GROUNDS, by_source, rng),
            }[kind]()
            photos = (some(source),)
            used.add(source)
    return Sample(kind, kind in PLANT_KINDS, tuple(sorted(used)), seed, photos, ground, extra)


def _weighted(
    shares: Mapping[str, float], by_source: Mapping[str, list[Row]], rng: Generator
) -> str:
    names = [name for name in shares if name == DRAWN or name in by_source]
    share = np.array([shares[name] for name in names])
    return names[int(rng.choice(len(names), p=share / share.sum()))]
