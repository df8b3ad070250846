"""The training set as a list of recipes: what to draw, from which sources, with which label.

A :class:`Sample` names its kind, its label and *every* source that goes into it, and its pixels
are a function of itself (see :mod:`.draw`). So a source that is left out is left out wholly: its
photos, what was cut from them and the grounds taken from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from plantood.training.negatives.synthetic import FRAMES
from plantood.training.recipe.roles import Ground, Roles
from plantood.training.recipe.samples import PLANT_KINDS, TEST, Row, Sample

COPIES_PER_SOURCE, MIN_COPIES, MAX_COPIES = 1100, 2, 16
"""Of the starter, by source; and of one photo: more where a source has few photos."""
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
"""How many pictures of every kind the starter has, beside the photos and their copies."""
COPIED = 0.44
"""Share of copies among all that the starter draws."""

Cell = tuple[str, bool]
"""The photos of one class of one source."""
Cells = Mapping[Cell, Sequence[Row]]


def plan_pictures(
    rows: Sequence[Row], seed: int = 0, *, roles: Roles, made: float | None = None
) -> list[Sample]:
    """Every picture of the training set in a fixed order: photos, copies, and what is made.

    Args:
        rows: the photos; those of the test split become samples that are only measured.
        seed: of everything random.
        roles: what each source is good for; sources that ``rows`` lack play no part.
        made: pictures to draw for each photo, > 0, copies among them, in the starter's proportions;
            a kind that nothing can be made of is left out. None: as many as the starter has.
    """
    photos = [
        Sample("photo", row.plant, (row.source,), (), (row.path,), measured_only=row.split == TEST)
        for row in rows
    ]
    cells: dict[Cell, list[Row]] = {}
    for row in rows:
        if row.split != TEST:
            cells.setdefault((row.source, row.plant), []).append(row)
    if made is None:
        counts = COUNTS
        copies = [
            float(np.clip(round(COPIES_PER_SOURCE / len(members)), MIN_COPIES, MAX_COPIES))
            for members in cells.values()
        ]
    else:
        budget = made * sum(map(len, cells.values()))
        counts = _scaled(budget * (1.0 - COPIED), cells, roles)
        per_source = budget * COPIED / max(1, len(cells))
        copies = [min(per_source / len(members), MAX_COPIES) for members in cells.values()]
    pictures: list[Sample] = []
    for number, (kind, count) in enumerate(counts.items()):
        rng = np.random.default_rng((seed, 2, number))
        pictures += [_make(kind, cells, roles, rng, (seed, 3, number, n)) for n in range(count)]
    return photos + _copies(cells, copies, seed) + pictures


def _copies(cells: Cells, counts: Sequence[float], seed: int) -> list[Sample]:
    """Augmented copies: so many of each photo of a cell, on average."""
    return [
        Sample("copy", row.plant, (row.source,), (seed, 1, number, n, k), (row.path,))
        for number, (count, members) in enumerate(zip(counts, cells.values(), strict=True))
        for n, row in enumerate(members)
        for k in range(int((n + 1) * count) - int(n * count))
    ]


def _scaled(budget: float, cells: Cells, roles: Roles) -> dict[str, int]:
    """The starter's counts, ``budget`` in all; 0 of a kind that nothing can be made of."""
    cut = _present(roles.leaves + roles.plants, True, cells)
    grounds = [ground for ground in roles.grounds if _is_there(ground, cells)]
    textures = _present(roles.textures, False, cells)
    possible = {
        "planted": cut and grounds,
        "planted_toned": cut and grounds,
        "closeup": _present(roles.near, True, cells),
        "bare": grounds,
        "seam": cut and grounds and textures,
        "green_seam": cut and grounds and textures,
        "window": _present(roles.windows, True, cells),
        "ground": [ground for ground in roles.bare if _is_there(ground, cells)],
    }
    whole = sum(COUNTS.values())
    return {
        kind: round(budget * count / whole) if possible.get(kind, True) else 0
        for kind, count in COUNTS.items()
    }


def _make(kind: str, cells: Cells, roles: Roles, rng: Generator, seed: tuple[int, ...]) -> Sample:
    """One sample of a made kind, its photos drawn at random."""

    def some(source: str, *, plant: bool) -> Path:
        members = cells[source, plant]
        return members[int(rng.integers(len(members)))].path

    def one_of(names: Sequence[str]) -> str:
        return names[int(rng.integers(len(names)))]

    def some_ground(grounds: Iterable[Ground]) -> tuple[Path | None, set[str]]:
        below = _weighted([ground for ground in grounds if _is_there(ground, cells)], rng)
        if below.source is None:
            return None, set()
        return some(below.source, plant=below.between), {below.source}

    extras = _present(roles.extras, False, cells)
    photos: tuple[Path, ...] = ()
    ground = extra = None
    used: set[str] = set()
    match kind:
        case "planted" | "planted_toned" | "bare" | "seam" | "green_seam":
            ground, used = some_ground(roles.grounds)
            if kind != "bare":
                leaf = one_of(_present(roles.leaves + roles.plants, True, cells))
                photos = tuple(some(leaf, plant=True) for _ in range(3))
                used.add(leaf)
            if kind in ("seam", "green_seam"):
                texture = one_of(_present(roles.textures, False, cells))
                photos = (*photos[:2], some(texture, plant=False))
                used.add(texture)
            elif rng.random() < (0.5 if kind == "bare" else 0.25) and extras:
                beside = one_of(extras)
                extra = some(beside, plant=False)
                used.add(beside)
        case "toned" | "closeup" | "green" | "window":
            plant = kind != "green"
            every = [source for source, of_plants in cells if of_plants == plant]
            names = {"closeup": roles.near, "window": roles.windows}.get(kind, every)
            source = one_of(_present(names, plant, cells))
            photos, used = (some(source, plant=plant),), {source}
        case "ground":
            path, used = some_ground(roles.bare)
            assert path is not None, "bare ground is never drawn"
            photos = (path,)
    return Sample(kind, kind in PLANT_KINDS, tuple(sorted(used)), seed, photos, ground, extra)


def _present(sources: Iterable[str], plant: bool, cells: Cells) -> list[str]:
    """Those of some sources that have photos of a class."""
    return [source for source in sources if (source, plant) in cells]


def _is_there(ground: Ground, cells: Cells) -> bool:
    return ground.source is None or (ground.source, ground.between) in cells


def _weighted(grounds: Sequence[Ground], rng: Generator) -> Ground:
    share = np.array([ground.share for ground in grounds])
    return grounds[int(rng.choice(len(grounds), p=share / share.sum()))]
