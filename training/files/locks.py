"""Locks between processes, also where the file system has none, as some network disks do not."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import IO, Any

from plantood.training.common.progress import say

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_told: set[Path] = set()


def lock(file: IO[Any], how: int) -> None:
    """``flock``; without effect, but with a warning, where files cannot be locked.

    Raises:
        BlockingIOError: Another process has the lock, and ``how`` says not to wait for it.
    """
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        folder = Path(file.name).parent
        if folder not in _told:
            _told.add(folder)
            say(
                f"Files in {folder} cannot be locked ({error.strerror}), as on some network disks: "
                "make sure yourself that no other process works there.",
                "yellow",
            )
