"""From DATA on the command line to photos that are read, divided and checked."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.errors import TrainingDataError
from plantood.training.common.settings import DataSettings
from plantood.training.files.atomic import write_csv
from plantood.training.photos.account import Account, read_usable
from plantood.training.photos.data import CLASS_NAMES, BadPhoto, LabelledPhoto
from plantood.training.photos.division.splits import FRACTIONS, divide
from plantood.training.photos.division.units import Together, ensure_units

Photos = tuple[LabelledPhoto, ...]


def labels_of(photos: Sequence[LabelledPhoto]) -> NDArray[np.float32]:
    """Labels ``[N]``, 1 = plant."""
    return np.array([photo.label for photo in photos], np.float32)


def scenes_of(photos: Sequence[LabelledPhoto], groups: Mapping[str, int]) -> list[int]:
    """For each photo a number, ``[N]``, that those which show one scene share.

    Args:
        photos: which.
        groups: of them, where there are; see :class:`Dataset`.
    """
    return [groups.get(photo.sha256, -number) for number, photo in enumerate(photos, 1)]


def labels_digest(photos: Iterable[LabelledPhoto]) -> str:
    """Digest of which photo is what, independent of paths, sources, splits and order."""
    lines = sorted(f"{photo.sha256} {CLASS_NAMES[photo.label]}" for photo in photos)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """Photos by split, the ones left out on purpose, and the ones that cannot be used."""

    train: Photos
    val: Photos
    test: Photos
    left_out: Photos = ()
    bad: tuple[BadPhoto, ...] = ()
    crossings: tuple[Photos, ...] = ()
    crossed: Photos = ()
    """Photos of val and test that show what one of train, or of val, shows: not judged."""
    aside: Photos = ()
    """Photos of other sources that show what one left out shows: neither learned from nor judged.
    """
    groups: Mapping[str, int] = field(default_factory=dict)
    """By digest, a number that near-duplicates and photos of one `group` share."""
    together: Together = ()
    """Sources that belong together; see `photos.units`."""

    @property
    def photos(self) -> Photos:
        """All usable photos, left out or not."""
        return self.train + self.val + self.test + self.left_out + self.aside + self.crossed

    @property
    def sources(self) -> list[str]:
        """Names of all sources, sorted."""
        return sorted({photo.source for photo in self.photos})

    def splits(self) -> dict[str, Photos]:
        """Photos by the name of their split; ``left out`` only if there are any."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return named | ({"left out": self.left_out} if self.left_out else {})

    def fingerprint(self) -> str:
        """Digest of which photo has which label in which split, and of what belongs together.

        Independent of paths and order.
        """
        first: dict[int, str] = {}
        for digest, group in sorted(self.groups.items()):
            first.setdefault(group, digest)
        lines = [
            f"{photo.sha256} {photo.label} {photo.source} {name} "
            f"{first.get(self.groups.get(photo.sha256, -1), '')}"
            for name, photos in (*self.splits().items(), ("crossed", self.crossed))
            for photo in photos
        ]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def counts(self) -> list[dict[str, str | int]]:
        """Photos of each source and class by split, for tables."""
        cells: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for name, photos in self.splits().items():
            for photo in photos:
                cells[CLASS_NAMES[photo.label], photo.source][name] += 1
        return [
            {"source": source, "label": label} | {name: count[name] for name in self.splits()}
            for (label, source), count in sorted(cells.items(), reverse=True)
        ]

    def leaving_out(self, sources: Iterable[str]) -> Dataset:
        """The same photos with all of these sources set aside, whatever their split.

        So is what is grouped with one of theirs, as near-duplicate or by its `group`: who has seen
        that has seen the photo.

        Raises:
            TrainingDataError: if there is no such source.
        """
        names = set(sources)
        if unknown := sorted(names - set(self.sources)):
            raise TrainingDataError(
                f"No source is called {', '.join(unknown)}; there are: {', '.join(self.sources)}."
            )

        left_out = tuple(photo for photo in self.photos if photo.source in names)
        shown = {self.groups[one.sha256] for one in left_out if one.sha256 in self.groups}

        def others(photos: Photos, *, akin: bool = False) -> Photos:
            return tuple(
                photo
                for photo in photos
                if photo.source not in names and (self.groups.get(photo.sha256) in shown) == akin
            )

        return replace(
            self,
            train=others(self.train),
            val=others(self.val),
            test=others(self.test),
            left_out=left_out,
            aside=others(self.photos, akin=True),
            crossed=others(self.crossed),
        )

    def require(self, min_per_class: int) -> None:
        """Check that there is enough to train on and to choose a threshold by.

        Raises:
            TrainingDataError: with fewer than ``min_per_class`` photos of a class in ``train``, or
                none of a class in ``val``.
        """
        for name, photos, least in (("train", self.train, min_per_class), ("val", self.val, 1)):
            count = Counter(photo.label for photo in photos)
            for label, class_name in CLASS_NAMES.items():
                if count[label] < least:
                    raise TrainingDataError(
                        f"Only {count[label]} usable photos of class {class_name} in split {name}, "
                        f"at least {least} are needed ({self._unused()}); {self._remedy(name)}."
                    )

    def _unused(self) -> str:
        why = Account.of("", (), self.bad).commonest()
        left = f", {len(self.crossed)} show what a photo of train or val shows"
        return f"{len(self.bad)} files could not be used{why}{left if self.crossed else ''}"

    def _remedy(self, split: str) -> str:
        """What to do where a split has too few photos of a class."""
        if split == "train":
            return "add photos, or lower --min-per-class"
        return (
            "add photos, or, where a manifest names the splits, name val for some photos of both "
            "classes, or leave the column split empty"
        )


def load_dataset(data: str | Path, settings: DataSettings, cache: Path) -> Dataset:
    """Read, scan, divide and check the photos of a folder or manifest.

    Raises:
        TrainingDataError: if the data cannot be trained on.
        SettingsError: if sources are said to belong together that there are not.
    """
    photos, bad = read_usable(data, cache, at_most=settings.at_most_per_source)
    ensure_units(settings.together, (photo.source for photo in photos))
    division = divide(photos)
    parts: dict[str, Photos] = {}
    crossed: Photos = ()
    shown: set[int] = set()
    for name in FRACTIONS:  # who has seen a photo has seen what is grouped with it
        mine = [
            (photo, group)
            for photo, group in zip(division.photos, division.groups, strict=True)
            if photo.split == name
        ]
        parts[name] = tuple(photo for photo, group in mine if group not in shown)
        crossed += tuple(photo for photo, group in mine if group in shown)
        shown |= {group for _, group in mine}
    dataset = Dataset(
        **parts,
        bad=tuple(bad),
        crossings=division.crossings,
        crossed=crossed,
        groups=division.group_of,
        together=settings.together,
    )
    if settings.left_out:
        dataset = dataset.leaving_out(settings.left_out)
    dataset.require(settings.min_per_class)
    return dataset


def write_bad(bad: Sequence[BadPhoto], file: Path) -> None:
    """List the files that are left out, with reasons, as CSV."""
    write_csv(file, ("path", "reason"), map(vars, bad))


def write_crossings(crossings: Sequence[Photos], file: Path) -> None:
    """List near-duplicates that the manifest puts into different splits, as CSV."""
    rows = (
        {"group": number, "path": photo.path, "split": photo.split}
        for number, group in enumerate(crossings, start=1)
        for photo in group
    )
    write_csv(file, ("group", "path", "split"), rows)
