"""Sources that belong together: who has seen one has seen the others, so they are one unit.

Two collections of one camera on one table are not strange to each other: what learned one judges
the other better than it will judge a camera and a place that are new. So the sources of a unit are
left out together, and count as one where it matters how many sources there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from plantood.errors import SettingsError

Together = tuple[frozenset[str], ...]
"""The units of more than one source, by the sources' names; no source is in two."""
OPTION = "--together"


def units_of(sources: Iterable[str], together: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """The sources in order of their names, those that belong together as one unit."""
    unit = {name: group for group in together for name in group}
    return list(dict.fromkeys(unit.get(name, frozenset({name})) for name in sorted(set(sources))))


def unit_names(sources: Iterable[str], together: Sequence[frozenset[str]]) -> list[str]:
    """For each source the name of its unit: the first of the names in it."""
    first = {name: min(group) for group in together for name in group}
    return [first.get(name, name) for name in sources]


def fewest_units(
    labels: ArrayLike, sources: Iterable[str], together: Sequence[frozenset[str]] = ()
) -> int:
    """Of how many units the photos of that class are that is of the fewest; 0 without photos of it.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        sources: of the same photos, ``[N]``.
        together: sources that count as one.
    """
    plants = [bool(label) for label in np.asarray(labels)]
    found = set(zip(plants, unit_names(sources, together), strict=True))
    return min(sum(plant is one for plant, _ in found) for one in (False, True))


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
