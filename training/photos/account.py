"""What became of every photo that was found: used, or left out, and why. Shown before the work."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plantood.errors import TrainingDataError
from plantood.training.common.tables import console_table
from plantood.training.files.paths import spelled
from plantood.training.photos.data import (
    CLASS_NAMES,
    NO_LABEL,
    BadPhoto,
    Found,
    LabelledPhoto,
    find_data,
)
from plantood.training.photos.scan import scan_photos
from plantood.training.process.progress import console, say

MOST_ROWS = 40
"""Rows of a table, and reasons: what comes after them is counted together."""

_NUMBERS = re.compile(r"\d+")


@dataclass
class Reason:
    """Why photos are left out: how many, in the words for one of them, and which one that is."""

    count: int
    words: str
    example: str

    def __str__(self) -> str:
        """The reason with its number and its example."""
        return f"{self.count:,} left out: {self.words}; for example {self.example}"


@dataclass
class Account:
    """Photos of one folder, manifest or other source, by class and source.

    Attributes:
        name: Of what was searched.
        used: Photos by class and source; either may be empty.
        left_out: Likewise.
        reasons: By what they have in common.
    """

    name: str
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: dict[str, Reason] = field(default_factory=dict)

    @classmethod
    def of(
        cls, name: object, photos: Sequence[LabelledPhoto], left_out: Iterable[BadPhoto]
    ) -> Account:
        """The account of labelled photos."""
        account = cls(str(name))
        account.used.update((CLASS_NAMES[photo.label], photo.source) for photo in photos)
        for one in left_out:
            account.leave_out(one.kind or one.reason, one.path, cell=(one.label, one.source))
        return account

    def leave_out(
        self, words: str, example: object, count: int = 1, cell: tuple[str, str] = ("", "")
    ) -> None:
        """Count photos that are left out for a reason."""
        self.left_out[cell] += count
        key = _NUMBERS.sub("#", words)  # sizes differ from photo to photo
        if key in self.reasons:
            self.reasons[key].count += count
        else:
            self.reasons[key] = Reason(count, spelled(words), spelled(str(example)))

    def commonest(self) -> str:
        """The commonest reason, as the end of a sentence in brackets; empty if there is none."""
        reasons = self._ordered()
        return f" ({reasons[0]})" if reasons else ""

    def show(self) -> None:
        """Print it, to standard error."""
        used, left_out = self.used.total(), self.left_out.total()
        title = f"{self.name}: {used + left_out:,} found, {used:,} used, {left_out:,} left out"
        header = ["class", "source", "found", "used", "left out"]
        say(title)
        console.print(console_table(None, header, self._rows()))
        for line in self.lines():
            say(line)

    def lines(self) -> list[str]:
        """The reasons, a line each, the commonest first."""
        lines = [f"  {reason}" for reason in self._ordered()[:MOST_ROWS]]
        rest = len(self.reasons) - len(lines)
        return lines + ([f"  and {rest} more reasons"] if rest else [])

    def _ordered(self) -> list[Reason]:
        return sorted(self.reasons.values(), key=lambda reason: -reason.count)

    def _rows(self) -> list[list[str]]:
        cells = sorted(self.used.keys() | self.left_out.keys(), reverse=True)
        rows = [
            [label or "-", source or "-"]
            + [f"{count:,}" for count in self._counts([(label, source)])]
            for label, source in cells[:MOST_ROWS]
        ]
        if rest := cells[MOST_ROWS:]:
            more = [f"{count:,}" for count in self._counts(rest)]
            rows.append(["...", f"{len(rest)} more", *more])
        return rows

    def _counts(self, cells: Sequence[tuple[str, str]]) -> tuple[int, int, int]:
        used = sum(self.used[cell] for cell in cells)
        left_out = sum(self.left_out[cell] for cell in cells)
        return used + left_out, used, left_out


def read_usable(
    data: str | Path, cache: Path, *, found: Found | None = None, at_most: int | None = None
) -> tuple[list[LabelledPhoto], list[BadPhoto]]:
    """The photos of a folder or manifest that can be used, and the others; shows the account.

    Args:
        data: folder or manifest.
        cache: folder where scanned photos are remembered.
        found: what is in ``data``, if it is known already.
        at_most: photos of each source that are taken.

    Raises:
        TrainingDataError: there is no such data, or nothing usable in it.
    """
    found = found or find_data(data)
    photos, unusable = scan_photos(found.photos, cache)
    bad = [*(one for one in found.left_out if one.reason != NO_LABEL), *unusable]
    left_out = [*found.left_out, *unusable]
    if at_most is not None:
        every, photos = photos, at_most_per_source(photos, at_most)
        taken = {photo.sha256 for photo in photos}
        left_out += [_too_many(photo) for photo in every if photo.sha256 not in taken]
    account = Account.of(data, photos, left_out)
    account.show()
    if not photos:
        raise TrainingDataError(f"No usable photo in {data}{account.commonest()}.")
    return photos, bad


def ensure_photos(data: str | Path) -> Found:
    """What is in a folder or manifest; shows the account if that is no photo at all.

    Raises:
        TrainingDataError: there is no such data, or no labelled photo in it.
    """
    found = find_data(data)
    if not found.photos:
        account = Account.of(data, [], found.left_out)
        if found.left_out:
            account.show()
        raise TrainingDataError(f"No labelled photo in {data}{account.commonest()}.")
    return found


def at_most_per_source(photos: Sequence[LabelledPhoto], limit: int) -> list[LabelledPhoto]:
    """A subset with at most ``limit`` photos per source and class, chosen by content digest."""
    taken: Counter[tuple[str, int]] = Counter()
    subset = []
    for photo in sorted(photos, key=lambda photo: photo.sha256):
        taken[photo.source, photo.label] += 1
        if taken[photo.source, photo.label] <= limit:
            subset.append(photo)
    return subset


def _too_many(photo: LabelledPhoto) -> BadPhoto:
    reason = "more of its source than --at-most-per-source takes"
    return BadPhoto(photo.path, reason, CLASS_NAMES[photo.label], photo.source)
