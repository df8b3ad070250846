"""Files of a round, opened as nothing but files: the round may come from somebody else.

Somebody else's folder can hold links to anything that this machine has, and pipes and devices for
which a reader waits for ever.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW  # a pipe does not block then


def open_plain(root: Path, *names: str) -> IO[bytes]:
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
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError("it is no file")
    return os.fdopen(file, "rb")
