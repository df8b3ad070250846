"""The manifest of the public photos, as the starter's recipe reads it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from plantood.errors import TrainingDataError
from plantood.training.recipe.samples import TEST, Row

COLUMNS = frozenset({"path", "label", "source", "split", "sha256"})
"""What the manifest must hold."""


def read_rows(manifest: Path, doubtful: Iterable[str] = ()) -> list[Row]:
    """The labelled rows of a manifest; never those without a label (split ``none``).

    ``doubtful`` are prefixes of SHA-256 sums of photos whose label is wrong: measured as they
    are labelled, but not trained on.

    Raises:
        TrainingDataError: if the manifest cannot be read or lacks a column.
    """
    try:
        return _read_rows(manifest, tuple(doubtful))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainingDataError(
            f"{manifest} cannot be read as the manifest of the public photos ({reason}); for your "
            "own photos use: plantood train"
        ) from error


def _read_rows(manifest: Path, prefixes: tuple[str, ...]) -> list[Row]:
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := COLUMNS - set(rows.fieldnames or ()):
            raise TrainingDataError(
                f"{manifest} is not the manifest of the public photos, as it lacks the columns "
                f"{', '.join(sorted(missing))}; for your own photos use: plantood train"
            )
        return [
            Row(
                manifest.parent / row["path"],
                row["label"] == "plant",
                row["source"],
                row["split"],
                trusted=not (prefixes and row["sha256"].startswith(prefixes)),
            )
            for row in rows
            if row["split"] in ("train", "val", TEST)
        ]
