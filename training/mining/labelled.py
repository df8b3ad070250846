"""Photos that somebody labelled already: they are left out before anything is drawn."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plantood.errors import TrainingDataError
from training.account import ensure_photos
from training.mining.sources import is_url
from training.parallel import map_in_order
from training.paths import existing
from training.progress import track
from training.rounds.layout import INFO, Round
from training.rounds.plain import read_file

DIGEST_COLUMNS = ("sha256", "id")
"""Columns of a CSV that may hold the SHA-256 of a photo's bytes; it is then not read again."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


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
        for path, digest in _rows(Path(one)):
            paths = (path,) if is_url(path) else (os.path.abspath(path), os.path.realpath(path))  # noqa: PTH100
            labelled.paths.update(paths)
            if digest:
                labelled.digests.add(digest)
            elif not is_url(path):
                to_read.add(paths[-1])
    digests = map_in_order(_digest, sorted(to_read))
    labelled.digests.update(
        filter(None, track(digests, len(to_read), "Reading the labelled photos"))
    )
    return labelled


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
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rows = csv.DictReader(opened)
            names = rows.fieldnames or ()
            if "path" not in names:
                raise TrainingDataError(
                    f"{file} lacks the column path; the first line must read path[,label]."
                )
            for row in rows:
                path = (row["path"] or "").strip()
                if not path or ("label" in names and not (row["label"] or "").strip()):
                    continue
                if "\0" in path:
                    raise TrainingDataError(
                        f"Line {rows.line_num} of {file}: {path!r} cannot be the path of a photo."
                    )
                found = ((row.get(name) or "").strip().lower() for name in DIGEST_COLUMNS)
                digest = next(filter(_DIGEST.fullmatch, found), "")
                yield path if is_url(path) else str(file.parent / path), digest
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainingDataError(f"{file} is not a CSV file ({error}).") from error


def _digest(path: str) -> str | None:
    """SHA-256 of a file, or None if it is not on this machine."""
    try:
        return hashlib.sha256(read_file(existing(path))).hexdigest()
    except OSError:
        return None
