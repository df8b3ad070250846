"""What is in a folder of photos: every photo, and whatever is left out, with the reason."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from plantood.training.rounds.layout import INFO

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

BESIDE_PHOTOS = frozenset(
    f".{ending}"
    for ending in (
        *("txt", "md", "csv", "tsv", "json", "jsonl", "xml", "xmp", "html", "log", "pdf"),
        *("db", "ini", "yaml", "yml", "py", "svg", "sqlite", "parquet", "npy", "npz"),
    )
)
"""Files of which nobody expects that they are photos: not worth a word."""

HIDDEN = frozenset(
    ("@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "lost+found", "System Volume Information")
)
"""Folders that systems put beside photos, for thumbnails and what was deleted; with all whose name
begins with a dot."""

CUT, WINDOWS = "cut.jsonl", "other"
"""What lies in a folder of negatives: the log of what was cut, and the folder of the windows."""
ROUND_FOLDER = f"a folder that holds {INFO}, so a round"
CUT_FOLDER = f"a folder beside {CUT}, so windows that were cut"
HIDDEN_FOLDER = "a hidden folder"
LINKED_FOLDER = "a link to a folder, which is not followed here"
READ_ALREADY = "a link to a folder that is read already"
NOWHERE = "a link that leads nowhere"
NO_FILE = "a pipe, socket or device"
NOTHING = "nothing to speak of"
_PHOTO, _FOLDER = "", "folder"


@dataclass(frozen=True)
class Item:
    """A photo, or something that is left out.

    Attributes:
        path: As the file system has it.
        name: The same within the folder.
        reason: Why it is left out; empty for a photo.
    """

    path: str
    name: str
    reason: str = ""


def walk_files(
    folder: str | os.PathLike[str],
    *,
    follow_links: bool,
    without: Collection[str] = (),
    without_made: bool = False,
) -> Iterator[Item]:
    """All photos below a folder, in whatever order; never lists a folder in memory.

    Args:
        folder: To search through.
        follow_links: Whether a link to a folder is searched too, once.
        without: Names right in the folder that are passed over.
        without_made: Whether folders below it that plantood wrote are passed over: what is in them
            was taken from photos, or cut out of them.
    """
    folder = os.fspath(folder)
    seen: set[tuple[int, int]] = set()
    below = [(folder, "")]
    linked: list[tuple[str, str]] = []
    while below or linked:
        # Links last: what is there in its own right is not to look like a copy.
        at, inside = below.pop() if below else linked.pop()
        try:
            status = os.stat(at)  # noqa: PTH116 (as all here: there may be a million of them)
            if (status.st_dev, status.st_ino) in seen:
                yield Item(at, inside.rstrip("/"), READ_ALREADY)
                continue
            seen.add((status.st_dev, status.st_ino))
            if without_made and inside and (why := why_made(at)):
                yield Item(at, inside.rstrip("/"), why)
                continue
            with os.scandir(at) as found:
                for entry in found:
                    if not inside and entry.name in without:
                        continue
                    name, kind = inside + entry.name, _kind(entry, follow_links)
                    if kind == _FOLDER:
                        (linked if entry.is_symlink() else below).append((entry.path, f"{name}/"))
                    elif kind != NOTHING:
                        yield Item(entry.path, name, kind)
        except OSError as error:
            why = f"a folder that cannot be read ({error.strerror or error})"
            yield Item(at, inside.rstrip("/"), why)


def _kind(entry: os.DirEntry[str], follow_links: bool) -> str:
    """Whether it is a photo (empty), a folder or nothing to speak of; or why it is left out."""
    try:
        if entry.is_dir():
            if is_hidden(entry.name):
                return HIDDEN_FOLDER
            return LINKED_FOLDER if entry.is_symlink() and not follow_links else _FOLDER
        if entry.is_file():
            return why_no_photo(entry.name)
        entry.stat()
    except OSError as error:
        if entry.is_symlink():
            return NOWHERE
        return f"it cannot be looked at ({error.strerror or error})"
    return NO_FILE


def why_made(folder: str) -> str:
    """Why a folder is taken for one that plantood wrote photos into; empty if it is not."""
    if os.path.lexists(os.path.join(folder, INFO)):  # noqa: PTH118
        return ROUND_FOLDER
    return CUT_FOLDER if holds_windows(folder) else ""


def holds_windows(folder: str) -> bool:
    """Whether a folder is the one of the windows that `plantood negatives` has cut."""
    beside, name = os.path.split(folder)
    return name == WINDOWS and os.path.lexists(os.path.join(beside, CUT))  # noqa: PTH118


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not meant to be seen."""
    return name.startswith(".") or name in HIDDEN


def why_no_photo(name: str) -> str:
    """Why a file of this name is left out; empty if it may be a photo."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122
    if ending in EXTENSIONS:
        return "a hidden file" if is_hidden(name) else _PHOTO
    if is_hidden(name) or ending in BESIDE_PHOTOS:
        return NOTHING
    return f"it ends in {ending}, as no photo here does" if ending else "its name has no ending"


def top(name: str) -> str:
    """The first of the folders that a name within a folder goes through; empty if none."""
    parts = Path(name).parts
    return parts[0] if len(parts) > 1 else ""
