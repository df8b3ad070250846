"""Sources that belong together: who has seen one has seen the others, so they are one unit.

Two collections of one camera on one table are not strange to each other: what learned one judges
the other better than it will judge a camera and a place that are new. So the sources of a unit are
left out together, and count as one where it matters how many sources there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantood.errors import SettingsError

Together = tuple[frozenset[str], ...]
"""The units of more than one source, by the sources' names; no source is in two."""
OPTION = "--together"
LEAST = 5
"""Photos of a class from which a source has a say where sources count alike."""


def units_of(sources: Iterable[str], together: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """The sources in order of their names, those that belong together as one unit."""
    unit = {name: group for group in together for name in group}
    return list(dict.fromkeys(unit.get(name, frozenset({name})) for name in sorted(set(sources))))


def unit_names(sources: Iterable[str], together: Sequence[frozenset[str]]) -> list[str]:
    """For each source the name of its unit: the first of the names in it."""
    first = {name: min(group) for group in together for name in group}
    return [first.get(name, name) for name in sources]


def telling(labels: ArrayLike, sources: Iterable[str]) -> NDArray[np.bool_]:
    """Whether each photo, ``[N]``, is of a source with enough photos of its class.

    Where sources count alike, one stray photo would count as much as hundreds. If no source of a
    class has enough, all of that class have a say.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        sources: of the same photos, ``[N]``.
    """
    cells = [(bool(label), name) for label, name in zip(np.asarray(labels), sources, strict=True)]
    enough = {cell for cell, count in Counter(cells).items() if count >= LEAST}
    classes = {plant for plant, _ in enough}
    return np.array([cell in enough or cell[0] not in classes for cell in cells], bool)


def fewest_units(
    labels: ArrayLike, sources: Iterable[str], together: Sequence[frozenset[str]] = ()
) -> int:
    """Of how many units the photos of that class are that is of the fewest; 0 without photos of it.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        sources: of the same photos, ``[N]``; those of too few photos are not counted.
        together: sources that count as one.
    """
    names = list(sources)
    plants = np.asarray(labels).astype(bool)
    mine = telling(plants, names)
    units = np.array(unit_names(names, together), object)
    return min(len(set(units[mine & (plants == one)])) for one in (False, True))


def ensure_units(together: Sequence[frozenset[str]], sources: Iterable[str]) -> None:
    """Check what is said to belong together against the sources that there are.

    Raises:
        SettingsError: there is no such source, or a source is in two units.
    """
    there = set(sources)
    if unknown := sorted({name for unit in together for name in unit} - there):
        raise SettingsError(
            f"{OPTION}: no source is called {', '.join(unknown)}; there are: "
            f"{', '.join(sorted(there))}."
        )
    times = Counter(name for unit in together for name in unit)
    if twice := sorted(name for name, count in times.items() if count > 1):
        every = sorted({name for unit in together if twice[0] in unit for name in unit})
        raise SettingsError(
            f"{OPTION} has {twice[0]} in two units; if all of these are one, give them once: "
            f"{OPTION} {','.join(every)}"
        )


def in_words(together: Iterable[frozenset[str]]) -> str:
    """Units in a line of a report."""
    return "; ".join(" and ".join(sorted(unit)) for unit in together)
