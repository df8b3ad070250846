"""Locks between processes, also where the file system has none, as some network disks do not."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, Any

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
        return _native(file.fileno(), wait)
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


def _native(descriptor: int, wait: bool) -> bool:
    """The operating system's lock of an open file; False if another has it and that is told."""
    try:
        from filelock import lock_descriptor
    except ModuleNotFoundError:  # on a serving installation; on Unix it is the same lock
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
    return lock_descriptor(descriptor, blocking=wait, poll_interval=_POLL)
