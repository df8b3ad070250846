"""Where labelled photos come from: a folder with ``plant/`` and ``other/``, or a CSV manifest."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plantood.errors import TrainingDataError

LABELS = {"other": 0, "plant": 1}
"""Class names and their numbers, as in the source paper's convention."""
CLASS_NAMES = {number: name for name, number in LABELS.items()}

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""Names of splits that a manifest may use, and what they are called here."""

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "png",
        "webp",
        "avif",
        "gif",
        "bmp",
        "tif",
        "tiff",
        "heic",
        "heif",
    )
)
"""Files of a folder with another ending are not taken for photos. A manifest may name any file."""


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo that somebody said is a plant or something else."""

    path: Path
    label: int
    """1 = plant, 0 = other."""
    source: str
    """Camera, place or collection that it comes from; figures are reported by it."""
    split: str | None = None
    """``train``, ``val`` or ``test``; None until it is decided."""
    sha256: str = ""
    """Digest of the file, hexadecimal; empty until it is scanned."""
    look: bytes = b""
    """Perceptual hash, 16 bytes; empty until it is scanned."""
    group: str = ""
    """SHA-256 of the photo that it was cut from, or any name that photos of one scene share: they
    fall into one split, and the photo itself with them."""


@dataclass(frozen=True)
class BadPhoto:
    """A file that is left out of training, with the reason."""

    path: Path
    reason: str


def read_data(data: str | Path) -> list[LabelledPhoto]:
    """All labelled photos of a folder or a manifest, not yet opened.

    Raises:
        TrainingDataError: if there is no such data, or it names a class or split that is unknown.
    """
    data = Path(data)
    if data.is_dir():
        photos = list(_read_folder(data))
    elif data.is_file():
        photos = list(_read_manifest(data))
    else:
        raise TrainingDataError(
            f"No folder and no manifest at {data}; give a folder with plant/ and other/ inside, "
            "or a CSV file with the columns path,label."
        )
    if not photos:
        raise TrainingDataError(f"No labelled photo in {data}.")
    return photos


def _read_folder(folder: Path) -> Iterator[LabelledPhoto]:
    missing = [name for name in ("plant", "other") if not (folder / name).is_dir()]
    if missing:
        raise TrainingDataError(
            f"{folder} has no folder {' and no folder '.join(missing)}/; photos of plants belong "
            "into plant/, all others into other/ (sub-folders are taken as sources)."
        )
    for name in ("plant", "other"):
        root = folder / name
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in EXTENSIONS and path.is_file():
                inside = path.relative_to(root)
                source = inside.parts[0] if len(inside.parts) > 1 else name
                yield LabelledPhoto(path, LABELS[name], source)


def _read_manifest(manifest: Path) -> Iterator[LabelledPhoto]:
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := {"path", "label"} - set(rows.fieldnames or ()):
                raise TrainingDataError(
                    f"{manifest} lacks the column {' and '.join(sorted(missing))}; the first line "
                    "must read path,label[,split][,source][,group]."
                )
            for row in rows:
                photo = _read_row(row, manifest, rows.line_num)
                if photo is not None:
                    yield photo
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainingDataError(f"{manifest} is not a CSV file ({error}).") from error


def _read_row(row: dict[str, str | None], manifest: Path, line: int) -> LabelledPhoto | None:
    label = (row["label"] or "").strip().lower()
    if not label:
        return None
    where = f"Line {line} of {manifest}"
    if label not in LABELS:
        raise TrainingDataError(f"{where}: the label is {label!r}; it must be plant or other.")
    path = (row["path"] or "").strip()
    if not path:
        raise TrainingDataError(f"{where}: the path is empty.")
    split = (row.get("split") or "").strip().lower()
    if split and split not in SPLITS:
        raise TrainingDataError(
            f"{where}: the split is {split!r}; it must be train, val or test, or empty."
        )
    return LabelledPhoto(
        path=manifest.parent / path,
        label=LABELS[label],
        source=(row.get("source") or "").strip() or label,
        group=(row.get("group") or "").strip(),
        split=SPLITS[split] if split else None,
    )
