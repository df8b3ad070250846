"""Which source plays which part in a recipe, and how its photos are therefore cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plantood.training.recipe.samples import Row

ON_GROUND, ON_OTHER, ON_DRAWN = 0.60, 0.35, 0.05
"""How often a composite stands on bare ground, on anything else, on a drawn floor or wall: about as
in the starter's recipe."""


@dataclass(frozen=True)
class Ground:
    """Where ground is taken from, and how often compared with others."""

    source: str | None
    """None: it is drawn, a floor or a wall."""
    share: float
    between: bool = False
    """Taken between the plants of the source's plant photos, not from its other ones."""


@dataclass(frozen=True)
class Roles:
    """The parts that sources play, by their names; a source without a part is only trained on.

    ``leaves``, ``plants``, ``near`` and grounds ``between`` speak of the plant photos of a source,
    everything else of its other photos.
    """

    leaves: tuple[str, ...] = ()
    """Leaves on a plain table: cut out by chroma."""
    plants: tuple[str, ...] = ()
    """Green plants on the ground: cut out by excess green."""
    near: tuple[str, ...] = ()
    """Near enough that a window of a photo can be all leaf."""
    extras: tuple[str, ...] = ()
    """What else gets into a farmer's frame, at its edge."""
    textures: tuple[str, ...] = ()
    """What leaf-shaped pieces that are no leaf are filled with."""
    windows: tuple[str, ...] = ()
    """Plants with bare ground between them, and nothing else that grows there."""
    grounds: tuple[Ground, ...] = ()
    """Of composites."""
    bare: tuple[Ground, ...] = ()
    """Shown as they are: bare ground is *other*. Never drawn."""
    counted_less: Mapping[str, float] = field(default_factory=dict)
    """Factors of sources whose labels are doubtful, 0..1."""

    @property
    def sources(self) -> frozenset[str]:
        """All that play a part; not those that are only counted less."""
        named = {*self.leaves, *self.plants, *self.near, *self.extras, *self.textures}
        grounds = {ground.source for ground in (*self.grounds, *self.bare) if ground.source}
        return frozenset(named | {*self.windows} | grounds)

    @classmethod
    def of(
        cls,
        *,
        leaves: Sequence[str] = (),
        plants: Sequence[str] = (),
        ground: Sequence[str] = (),
        other: Sequence[str] = (),
    ) -> Roles:
        """All parts, by the four that a user names.

        Nothing is taken for ground between plants: in a user's photos something may grow there.
        """
        grounds = [
            *_shared(ON_GROUND, ground),
            *_shared(ON_OTHER, other),
            Ground(None, ON_DRAWN),
        ]
        return cls(
            leaves=tuple(leaves),
            plants=tuple(plants),
            near=(*leaves, *plants),
            extras=tuple(other),
            textures=tuple(other or ground),
            grounds=tuple(grounds),
            bare=tuple(_shared(1.0, ground)),
        )


def _shared(share: float, sources: Sequence[str]) -> list[Ground]:
    return [Ground(source, share / len(sources)) for source in sources]


@dataclass(frozen=True)
class Cuts:
    """How photos are cut, where it is not the common way."""

    green: frozenset[Path] = frozenset()
    """Plants that are cut out by excess green; all others by chroma."""
    between: frozenset[Path] = frozenset()
    """Photos whose ground is what lies between the plants; of all others it is any window."""

    @classmethod
    def of(cls, rows: Iterable[Row], roles: Roles) -> Cuts:
        """Of the photos of a recipe, by the roles of their sources."""
        between = {ground.source for ground in (*roles.grounds, *roles.bare) if ground.between}
        plants = [row for row in rows if row.plant]
        return cls(
            green=frozenset(row.path for row in plants if row.source in roles.plants),
            between=frozenset(row.path for row in plants if row.source in between),
        )
