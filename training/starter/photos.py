"""The manifest of the public photos, as the starter's recipe reads it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from plantood.errors import TrainingDataError
from plantood.training.recipe.samples import TEST, Row
from plantood.training.starter.roles import NEEDED_SOURCES

DOUBTFUL = Path(__file__).parent / "doubtful.csv"
COLUMNS = frozenset({"path", "label", "source", "split", "sha256"})
"""What the manifest must hold."""


def starter_rows(data: Path) -> list[Row]:
    """The photos of a manifest that the recipe takes its pictures from.

    Raises:
        TrainingDataError: it cannot be read, or lacks a source that the recipe needs.
    """
    rows = read_rows(data, _doubtful())
    if missing := NEEDED_SOURCES - {row.source for row in rows}:
        raise TrainingDataError(
            f"The starter's recipe cuts its pictures out of sources that {data} lacks: "
            f"{', '.join(sorted(missing))}. For your own photos use: plantood train"
        )
    return rows


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


def _doubtful() -> list[str]:
    """Prefixes of the SHA-256 sums of photos whose label a look at them contradicts."""
    with DOUBTFUL.open(newline="", encoding="utf-8") as file:
        return [row["sha256_prefix"] for row in csv.DictReader(file)]
