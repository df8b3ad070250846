"""Labels as a plain CSV file, for a spreadsheet or a script: one row for each label of each photo.

Export writes a row without a label for a photo that nobody has labelled; filled in there, with
``plant``, ``other`` or ``unsure``, it can be imported again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from plantood.training.files.atomic import write_csv
from plantood.training.files.paths import spelled
from plantood.training.files.sheets import Row, read_table
from plantood.training.review.exchange.finder import PhotoFinder
from plantood.training.review.exchange.found import (
    Choices,
    FoundLabel,
    LabelFileError,
    Meaning,
    parse_time,
)
from plantood.training.review.log import DecisionLog

COLUMNS = (
    "id",
    "path",
    "file",
    "plant_probability",
    "reasons",
    "label",
    "kind",
    "reviewer",
    "time",
    "origin",
)
_PHOTO = {"id", "file", "path", "image", "sha256"}
"""Columns that say which photo a row is about."""
_FIRST_LINE = (
    "the first line must name label and one of id, file, path or image, and may name kind, "
    "reviewer and time."
)


def write_sheet(log: DecisionLog, file: Path) -> int:
    """Write all photos with all labels that stand; returns the number of labels."""
    labels = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal labels
        for photo in log.photos.values():
            row = vars(photo) | {"reasons": "+".join(photo.reasons)}
            votes = log.votes(photo.id)
            labels += len(votes)
            for _, entry in sorted(votes.items()):
                yield row | entry.decision.model_dump(mode="json")
            if not votes:
                yield row

    write_csv(file, COLUMNS, rows())
    return labels


def read_sheet(file: Path, finder: PhotoFinder, choices: Choices) -> list[FoundLabel]:
    """Read the labels of a CSV file; rows without one are passed over.

    It needs the column ``label`` and one of ``id``, ``file``, ``path``, ``image``; it may have
    ``kind``, ``reviewer`` and ``time``. Commas, semicolons or tabs separate.

    Raises:
        LabelFileError: It is no such file, or a label means nothing; the message names the line.
    """
    try:
        with file.open("rb") as opened:
            table = read_table(opened, file, LabelFileError, _missing, _FIRST_LINE)
            found = (_read_row(row, f"Line {n} of {file}", finder, choices) for n, row in table)
            return [label for label in found if label]
    except OSError as error:
        raise LabelFileError(f"{file} cannot be read: {error.strerror}.") from error


def _missing(found: Sequence[str]) -> str:
    return "" if "label" in found and _PHOTO & set(found) else "a column"


def _read_row(row: Row, where: str, finder: PhotoFinder, choices: Choices) -> FoundLabel | None:
    def cell(column: str) -> str:
        return row.get(column, "")

    if not cell("label"):
        return None
    meaning = choices.meaning(cell("label"), where)
    if cell("kind"):
        kind = choices.meaning(cell("kind"), where)
        if meaning.label != "other" or kind.kind is None:
            raise LabelFileError(f"{where}: only an other has a kind, no_plant or unfit.")
        meaning = Meaning("other", kind.kind)
    return FoundLabel(
        finder.find(*(spelled(cell(name)) for name in ("sha256", "id", "file", "path", "image"))),
        meaning,
        cell("reviewer"),
        parse_time(cell("time"), where),
        where,
    )
