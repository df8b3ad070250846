"""``mined.csv``: the photos of a round for the reviewer, most suspicious first."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plantood.errors import RoundError
from plantood.model.parts.neighbours import Neighbour
from plantood.training.files.atomic import write_csv

COLUMNS = (
    "id",
    "path",
    "file",
    "plant_probability",
    "selected_by",
    "verdict",
    "reasons",
    "sharpness",
    "brightness",
    "source",
    "nearest",
)

DIGEST = re.compile("[0-9a-f]{64}")
"""A SHA-256 as rounds and lists of photos write it."""


@dataclass(frozen=True)
class MinedPhoto:
    """One row of ``mined.csv``: a photo for the reviewer.

    Attributes:
        id: SHA-256 of its bytes, hexadecimal.
        path: Where it was found: a path or URL.
        file: Its copy, relative to the round.
        plant_probability: P(plant), 0 to 1.
        selected_by: Why it was chosen: ``at_most``, ``unlike``, ``margin``; one or several.
        verdict: ``accept`` or ``retake``, as the service would have answered.
        reasons: Codes of the reasons of a retake.
        sharpness: 0 (blurred) to 1 (crisp).
        brightness: 0 (black) to 1 (white).
        source: Camera, place or collection, if the list of photos named it; else empty.
        nearest: Pictures that the gate remembers, the nearest first; none if it remembers nothing,
            or an earlier plantood mined the photo.
    """

    id: str
    path: str
    file: str
    plant_probability: float
    selected_by: tuple[str, ...]
    verdict: str
    reasons: tuple[str, ...]
    sharpness: float
    brightness: float
    source: str = ""
    nearest: tuple[Neighbour, ...] = ()


def write_mined(file: Path, photos: Iterable[MinedPhoto]) -> None:
    """Write the list, whole or not at all; one photo at a time, so of any length."""
    rows = (
        {
            **vars(photo),
            "selected_by": "+".join(photo.selected_by),
            "reasons": "+".join(photo.reasons),
            "nearest": json.dumps(photo.nearest) if photo.nearest else "",
        }
        for photo in photos
    )
    write_csv(file, COLUMNS, rows)


def read_mined(file: Path) -> list[MinedPhoto]:
    """Read the list.

    Raises:
        RoundError: It is damaged; the message names the line.
    """
    with file.open(newline="", encoding="utf-8") as opened:
        rows = csv.DictReader(opened, strict=True)
        try:
            return [_mined_photo(row) for row in rows]
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            line = rows.line_num + isinstance(error, csv.Error)  # where the row begins
            raise RoundError(
                f"Line {line} of {file} cannot be read ({error}); remove the file "
                "and mine again, nothing is scored twice."
            ) from error


def _mined_photo(row: Mapping[str, str]) -> MinedPhoto:
    if not DIGEST.fullmatch(row["id"]):
        raise ValueError(f"the id is {row['id']!r}, not the SHA-256 of a photo")
    if Path(row["file"]).is_absolute() or ".." in Path(row["file"]).parts:
        raise ValueError(f"the file {row['file']!r} is not within the round")
    return MinedPhoto(
        id=row["id"],
        path=row["path"],
        file=row["file"],
        plant_probability=_number(row["plant_probability"]),
        selected_by=tuple(row["selected_by"].split("+")),
        verdict=row["verdict"],
        reasons=tuple(filter(None, row["reasons"].split("+"))),
        sharpness=_number(row["sharpness"]),
        brightness=_number(row["brightness"]),
        source=row.get("source") or "",
        nearest=tuple(Neighbour(*one) for one in json.loads(row.get("nearest") or "[]")),
    )


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no number")
    return number
