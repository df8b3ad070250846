"""Photos that somebody labelled already: they are left out before anything is drawn."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plantood.errors import TrainingDataError
from plantood.training.files.paths import existing, spelled
from plantood.training.files.sheets import columns, read_table
from plantood.training.mining.sources import is_url
from plantood.training.photos.account import ensure_photos
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track
from plantood.training.rounds.layout import INFO, Round
from plantood.training.rounds.mined import DIGEST
from plantood.training.rounds.plain import open_file

DIGEST_COLUMNS = ("sha256", "id")
"""Columns of a CSV that may hold the SHA-256 of a photo's bytes; it is then not read again."""


@dataclass(frozen=True)
class Labelled:
    """What is labelled already.

    Attributes:
        paths: Absolute paths and URLs.
        digests: SHA-256 of the bytes, hexadecimal: a copy elsewhere is left out too.
    """

    paths: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)


def read_labelled(given: Sequence[str]) -> Labelled:
    """Read what is labelled, and the bytes of those files whose digest is not written down.

    Args:
        given: CSV files with the column ``path`` (relative to the file) and perhaps ``label``
            (rows without one are not labelled) and ``sha256``; rounds (what was reviewed there);
            folders with ``plant/`` and ``other/``.

    Raises:
        TrainingDataError: One of them is none of these.
        RoundError: A round cannot be read.
    """
    labelled = Labelled()
    to_read: set[str] = set()
    for one in given:
        for path, digest in _rows(existing(one)):
            paths: tuple[str, ...] = (path,)
            if not is_url(path):
                found = existing(path)
                paths = (os.path.abspath(found), os.path.realpath(found))  # noqa: PTH100
            labelled.paths.update(map(spelled, paths))
            if digest:
                labelled.digests.add(digest)
            elif not is_url(path):
                to_read.add(paths[-1])
    digests = map_in_order(_digest, sorted(to_read))
    labelled.digests.update(
        filter(None, track(digests, len(to_read), "Reading the labelled photos"))
    )
    return labelled


def labelled_files(given: Sequence[str]) -> list[Path]:
    """The labelled photos that are files on this machine; errors as of :func:`read_labelled`."""
    files: list[Path] = []
    for one in map(existing, given):
        if (one / INFO).is_file():  # its own copies: the photos may be gone from where they were
            judged = Round.open(one).labels()
            mined = Round.open(one).mined()
            files += [one / photo.file for photo in mined if photo.id in judged]
        else:
            files += [existing(path) for path, _ in _rows(one) if not is_url(path)]
    return files


def _rows(given: Path) -> Iterable[tuple[str, str]]:
    """Path and digest (or an empty text) of each labelled photo."""
    if (given / INFO).is_file():
        return _of_round(given)
    if given.is_dir():
        return [(str(photo.path), "") for photo in ensure_photos(given).photos]
    if given.is_file():
        return _of_csv(given)
    raise TrainingDataError(
        f"There are no labelled photos at {given}; give a CSV file with the columns path,label, "
        "a round, or a folder with plant/ and other/ inside."
    )


def _of_round(folder: Path) -> Iterator[tuple[str, str]]:
    round_ = Round.open(folder)
    judged = round_.labels()
    for photo in round_.mined():
        if photo.id in judged:
            yield photo.path, photo.id


def _of_csv(file: Path) -> Iterator[tuple[str, str]]:
    remedy = "the first line must read path[,label]."
    with file.open("rb") as opened:
        for line, row in read_table(opened, file, TrainingDataError, columns("path"), remedy):
            path = row["path"]
            if not path or not row.get("label", "yes"):
                continue
            if "\0" in path:
                raise TrainingDataError(
                    f"Line {line} of {file}: {path!r} cannot be the path of a photo."
                )
            found = (row.get(name, "").lower() for name in DIGEST_COLUMNS)
            digest = next(filter(DIGEST.fullmatch, found), "")
            yield path if is_url(path) else str(file.parent / path), digest


def _digest(path: str) -> str | None:
    """SHA-256 of a file, or None if it is not on this machine."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
