"""Where labelled photos come from: a folder with ``plant/`` and ``other/``, or a CSV manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plantood.errors import TrainingDataError
from plantood.training.files.paths import composed, existing, spelled
from plantood.training.files.sheets import Row, columns, read_table
from plantood.training.photos.walk import top, walk_files
from plantood.training.rounds.layout import INFO
from plantood.training.rounds.layout import LABELS as ROUND_LABELS

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
    """The photo, grey and very small; empty until it is scanned. See `photos.hashes.look_of`."""
    group: str = ""
    """SHA-256 of the photo that it was cut from, or any name that photos of one scene share: they
    fall into one split, and the photo itself with them."""
    role: str = ""
    """What the manifest says that a recipe may make of its source's photos; unchecked."""
    more_groups: tuple[str, ...] = ()
    """What copies of the same bytes have as their `group` besides; it belongs to all of them."""

    @property
    def groups(self) -> tuple[str, ...]:
        """All groups that it is in, each once."""
        return tuple(name for name in (self.group, *self.more_groups) if name)


_FIRST_LINE = "the first line must read path,label[,split][,source][,group][,role]."
NO_LABEL = "no label in the manifest"


@dataclass(frozen=True)
class BadPhoto:
    """A file that is left out, with the reason."""

    path: Path
    reason: str
    label: str = ""
    """Name of its class, if it has one."""
    source: str = ""
    kind: str = ""
    """The reason without what is special to this file; empty: the reason itself."""


@dataclass(frozen=True)
class Found:
    """What a folder or manifest holds, nothing of it opened yet."""

    photos: list[LabelledPhoto]
    left_out: list[BadPhoto]


def find_data(data: str | Path) -> Found:
    """All labelled photos of a folder or a manifest, perhaps none, and all that is left out of it.

    Raises:
        TrainingDataError: if there is no such data, or it names a class or split that is unknown.
    """
    data = Path(data)
    found = Found([], [])
    if data.is_dir():
        items = _read_folder(data)
    elif data.is_file():
        items = _read_manifest(data)
    else:
        raise TrainingDataError(
            f"No folder and no manifest at {data}; give a folder with plant/ and other/ inside, "
            "or a CSV file with the columns path,label."
        )
    for item in items:
        if isinstance(item, LabelledPhoto):
            found.photos.append(item)
        else:
            found.left_out.append(item)
    return found


def _read_folder(folder: Path) -> Iterator[LabelledPhoto | BadPhoto]:
    missing = [name for name in LABELS if not (folder / name).is_dir()]
    if missing and (folder / INFO).is_file():
        raise TrainingDataError(
            f"{folder} is a round; give {folder / ROUND_LABELS}, its labels, which "
            f"`plantood review {folder}` makes."
        )
    if missing:
        inside = ", ".join(f"{spelled(p.name)}/" for p in sorted(folder.iterdir()) if p.is_dir())
        raise TrainingDataError(
            f"{folder} has no folder {' and no folder '.join(sorted(missing, reverse=True))}/ (it "
            f"has: {inside or 'no folder'}); photos of plants belong into plant/, all others into "
            "other/ (sub-folders are taken as sources); for `plantood adapt` one of the two "
            "may be empty, if only the other kind is to be learned."
        )
    for name in sorted(LABELS, reverse=True):
        for item in sorted(
            walk_files(folder / name, follow_links=True), key=lambda item: item.path
        ):
            source = composed(top(item.name)) or name
            if item.reason:
                yield BadPhoto(Path(item.path), item.reason, name, source)
            else:
                yield LabelledPhoto(Path(item.path), LABELS[name], source)
    for item in walk_files(folder, follow_links=False, without=LABELS):
        reason = item.reason or "it lies beside plant/ and other/, so nobody says what it shows"
        if not item.reason and (beside := top(item.name)):
            reason = f"it lies in {spelled(beside)}/, which is neither plant/ nor other/"
        yield BadPhoto(Path(item.path), reason)


def _read_manifest(manifest: Path) -> Iterator[LabelledPhoto | BadPhoto]:
    with manifest.open("rb") as file:
        needed = columns("path", "label")
        for line, row in read_table(file, manifest, TrainingDataError, needed, _FIRST_LINE):
            yield _read_row(row, manifest, line)


def _read_row(row: Row, manifest: Path, line: int) -> LabelledPhoto | BadPhoto:
    label, path = row["label"].lower(), row["path"]
    source = composed(row.get("source", ""))
    if not label:
        return BadPhoto(manifest.parent / path, NO_LABEL, source=source)
    where = f"Line {line} of {manifest}"
    if label not in LABELS:
        raise TrainingDataError(f"{where}: the label is {label!r}; it must be plant or other.")
    if not path:
        raise TrainingDataError(f"{where}: the path is empty.")
    split = row.get("split", "").lower()
    if split and split not in SPLITS:
        raise TrainingDataError(
            f"{where}: the split is {split!r}; it must be train, val or test, or empty."
        )
    return LabelledPhoto(
        path=existing(manifest.parent / path),
        label=LABELS[label],
        source=source or label,
        group=composed(row.get("group", "")),
        role=row.get("role", "").lower(),
        split=SPLITS[split] if split else None,
    )
