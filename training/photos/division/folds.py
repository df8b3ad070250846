"""The sources in folds, so that every photo can be judged by what has not seen its source."""

from __future__ import annotations

from collections import defaultdict

from plantood.training.photos.dataset import Dataset, Photos
from plantood.training.photos.division.units import fewest_units, units_of

FOLDS = 5
"""Of each class: the sources of a fold are left out together, so that many do not take long."""
FEWEST = 5
"""Photos of each class that are left to learn from."""
COMPARED = 2
"""Sources of each class by which models can be compared: without one of two there is another to
learn from."""


def source_folds(dataset: Dataset, fewest: int = COMPARED) -> list[Dataset]:
    """The photos without some sources, each source left out once; none if sources are too few.

    A fold leaves out plants or others, and not both: without the seedlings *and* the soil, soil
    would be judged more mildly than by a model that has seen seedlings. A source with photos of
    both classes is of a kind of its own. Sources that belong together are one, in every respect.

    Args:
        dataset: the photos.
        fewest: sources of each class.
    """
    known = dataset.train + dataset.val
    units = units_of((photo.source for photo in known), dataset.together)
    unit_of = {name: unit for unit in units for name in unit}
    classes: dict[frozenset[str], set[int]] = defaultdict(set)
    sizes: dict[frozenset[str], int] = defaultdict(int)
    for photo in known:
        classes[unit_of[photo.source]].add(photo.label)
        sizes[unit_of[photo.source]] += 1
    of_kind: dict[frozenset[int], list[frozenset[str]]] = defaultdict(list)
    for unit in sorted(sizes, key=lambda unit: (-sizes[unit], sorted(unit))):
        of_kind[frozenset(classes[unit])].append(unit)
    folds = [
        frozenset[str]().union(*mine[n::FOLDS])
        for mine in of_kind.values()
        for n in range(min(FOLDS, len(mine)))
    ]
    rests = [rest for rest in map(dataset.leaving_out, folds) if _learnable(rest.train)]
    judged = [photo for rest in rests for photo in to_judge(dataset, rest)]
    enough = fewest <= fewest_units(
        [photo.label for photo in judged], (photo.source for photo in judged), dataset.together
    )
    return rests if enough else []


def to_judge(dataset: Dataset, rest: Dataset) -> Photos:
    """What a fold leaves out of the photos that were there to learn and to choose by."""
    known = {photo.sha256 for photo in dataset.train + dataset.val}
    return tuple(photo for photo in rest.left_out if photo.sha256 in known)


def _learnable(photos: Photos) -> bool:
    labels = [photo.label for photo in photos]
    return all(labels.count(label) >= FEWEST for label in (0, 1))
