"""Locks between processes, also where the file system has none, as some network disks do not."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

from plantood.training.process.progress import say

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_POLL = 0.005
"""Seconds between two looks whether a lock is free: short beside what is done under one."""
_told: set[Path] = set()


def lock(file: IO[Any], *, wait: bool = True) -> bool:
    """Keep others out of an open file until it is closed, which a kill does too.

    Where files cannot be locked it is without effect, but for a warning.

    Args:
        file: To lock; nothing is changed in it.
        wait: For whoever has the lock.

    Returns:
        False if another has the lock and ``wait`` says not to wait for it.
    """
    try:
        return lock_descriptor(file.fileno(), blocking=wait, poll_interval=_POLL)
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
        return True
