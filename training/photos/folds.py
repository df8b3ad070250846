"""The sources in folds, so that every photo can be judged by what has not seen its source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Dataset, Photos

FOLDS = 5
"""Of each class: the sources of a fold are left out together, so that many do not take long."""
FEWEST = 5
"""Photos of each class that are left to learn from."""


def source_folds(dataset: Dataset, fewest: int = 2) -> list[Dataset]:
    """The photos without some sources, each source left out once; none if sources are too few.

    A fold leaves out plants or others, and not both: without the seedlings *and* the soil, soil
    would be judged more mildly than by a model that has seen seedlings. A source with photos of
    both classes is of a kind of its own.

    Args:
        dataset: the photos.
        fewest: sources of each class; without one of two there is another to learn from.
    """
    classes: dict[str, set[int]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    for photo in dataset.train + dataset.val:
        classes[photo.source].add(photo.label)
        sizes[photo.source] += 1
    of_kind: dict[frozenset[int], list[str]] = defaultdict(list)
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        of_kind[frozenset(classes[name])].append(name)
    folds = [names[n::FOLDS] for names in of_kind.values() for n in range(min(FOLDS, len(names)))]
    rests = [rest for rest in map(dataset.leaving_out, folds) if _learnable(rest.train)]
    judged = [photo for rest in rests for photo in to_judge(dataset, rest)]
    return rests if fewest_sources(judged) >= fewest else []


def fewest_sources(photos: Iterable[LabelledPhoto]) -> int:
    """Of how many sources the photos of that class are that is of the fewest."""
    found = {(photo.label, photo.source) for photo in photos}
    return min(sum(label == one for label, _ in found) for one in (0, 1))


def to_judge(dataset: Dataset, rest: Dataset) -> Photos:
    """What a fold leaves out of the photos that were there to learn and to choose by."""
    known = {photo.sha256 for photo in dataset.train + dataset.val}
    return tuple(photo for photo in rest.left_out if photo.sha256 in known)


def _learnable(photos: Photos) -> bool:
    labels = [photo.label for photo in photos]
    return all(labels.count(label) >= FEWEST for label in (0, 1))
