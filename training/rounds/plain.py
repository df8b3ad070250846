"""Files opened as nothing but files: pipes and devices let a reader wait for ever.

A round may come from somebody else, so in it no link is followed either: it could lead to anything
that this machine has. Photos that the user names himself may be links.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from plantood.photo.images import Limits

MOST_BYTES = Limits().max_bytes
"""That a photo may have, unless its reader says otherwise."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW  # a pipe does not block then


def open_plain(root: Path, *names: str) -> BufferedReader:
    """Open a file for reading, below a folder, with no link on the way down to it.

    Args:
        root: The folder; itself it may be reached by links.
        names: Folders within it, and the file last.

    Raises:
        OSError: There is none, or something else is in its place.
    """
    *folders, last = names
    at = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for name in folders:
            below = os.open(name, _FOLDER, dir_fd=at)
            os.close(at)
            at = below
        file = os.open(last, _FILE, dir_fd=at)
    finally:
        os.close(at)
    return _only_a_file(file)


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a file for reading, which may be reached by links.

    Raises:
        OSError: There is none, it cannot be read, or it is a pipe, socket or device.
    """
    return _only_a_file(os.open(path, _FILE & ~os.O_NOFOLLOW))


def read_file(path: str | os.PathLike[str], max_bytes: int = MOST_BYTES) -> bytes:
    """The content of a photo's file, opened as by :func:`open_file`.

    Of one with more than ``max_bytes`` it is one byte more, so that who decodes it refuses it.
    """
    with open_file(path) as file:
        return file.read(max_bytes + 1)


def _only_a_file(opened: int) -> BufferedReader:
    mode = os.fstat(opened).st_mode
    if not stat.S_ISREG(mode):
        os.close(opened)
        kind = "a directory" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise OSError(f"it is no file but {kind}")
    return os.fdopen(opened, "rb")
