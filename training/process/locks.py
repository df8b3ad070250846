"""Locks between processes, also where the file system has none, as some network disks do not."""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

from plantood.training.process.progress import say

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF}
"""The last: some network disks lock only what is open for writing."""
NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}
"""What is answered where this user may only read."""
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


def open_to_read(file: Path) -> AbstractContextManager[IO[bytes] | None]:
    """The file that is locked, for who may do without writing: open for appending if it can be.

    Returns:
        Gives None if there is no such file and none can be made: then nobody has ever locked it.
    """
    try:
        return file.open("ab")
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
    try:
        return file.open("rb")
    except FileNotFoundError:
        return nullcontext()
