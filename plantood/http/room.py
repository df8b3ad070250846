"""The room that all uploads of a process have together, in memory and on disk.

Only so many of them are in memory; further uploads go to disk from their first byte on. What passes
a limit is a 429.
"""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from http import HTTPStatus
from tempfile import SpooledTemporaryFile

from plantood.http.protocol import CONNECTIONS, descriptors
from plantood.refusals import RequestRefused
from plantood.settings import MEBIBYTE, Settings

logger = logging.getLogger("bentoml.plantood")

SPOOL_BYTES = 4 * MEBIBYTE
"""A photo above this size waits on disk, so that many slow uploads do not fill the memory. Most
photos of a phone are below it: writing them out piece by piece would cost as much processor time
as the rest of receiving them."""
IN_MEMORY = 32
"""So many uploads of a process may be in memory at a time, `SPOOL_BYTES` each."""
_AT_ONCE = 1
"""Byte above which the others go to disk; 0 would be never."""

PRESSED = 0.75
"""Part of all room for uploads above which it is short."""


def most_on_disk() -> int:
    """How many uploads may be on disk.

    Each has a file descriptor, however small it is, and a server that has no more of them takes no
    connection.
    """
    return max(descriptors() - 2 * CONNECTIONS, descriptors() // 4)


class UploadsFull(RequestRefused):
    """There is no room for further bytes of any request."""

    def __init__(self) -> None:
        super().__init__(
            "Too many photos arrive at the moment; send it again in a few seconds.",
            HTTPStatus.TOO_MANY_REQUESTS,
        )


class Uploads:
    """Counts the bytes of all uploads that a process has in hand."""

    def __init__(self, limit: int) -> None:
        """Allow ``limit`` bytes at a time, in memory and on disk together."""
        self.limit = limit
        self.bytes = 0
        self.in_memory = self.on_disk = 0
        self._lock = threading.Lock()

    def open(self) -> PhotoFile:
        """A file for one photo."""
        return PhotoFile(self)

    def lacks(self, held: int) -> bool:
        """Whether room is short, and ``held`` bytes more than an even share for each connection.

        If every connection held no more than that, room would not be short. If there are nearly as
        many uploads on disk as may be, all of them are too many, however small.
        """
        short = self.limit * PRESSED
        if self.on_disk > most_on_disk() * PRESSED:
            return True
        return self.bytes > short and held > short / CONNECTIONS

    def take(self, count: int) -> None:
        """Count further bytes in.

        Raises:
            UploadsFull: They are more than there is room for.
        """
        with self._lock:
            if self.bytes + count > self.limit:
                raise UploadsFull
            self.bytes += count

    def take_memory(self) -> bool:
        """Whether one more upload may be in memory; then it counts as such."""
        with self._lock:
            free = self.in_memory < IN_MEMORY
            self.in_memory += free
            return free

    def take_disk(self) -> None:
        """Count one more upload on disk.

        Raises:
            UploadsFull: There are too many.
        """
        with self._lock:
            if self.on_disk >= most_on_disk():
                raise UploadsFull
            self.on_disk += 1

    def give_back(self, held: dict[str, int]) -> None:
        """Count out what a file has counted in."""
        with self._lock:
            self.bytes -= held["bytes"]
            self.in_memory -= held["in_memory"]
            self.on_disk -= held["on_disk"]


class PhotoFile(SpooledTemporaryFile[bytes]):
    """A photo as it arrives: in memory while there is room, else on disk, counted in any case.

    It is counted out when it is closed or nobody has it any more.
    """

    def __init__(self, uploads: Uploads) -> None:
        in_memory = uploads.take_memory()
        super().__init__(max_size=SPOOL_BYTES if in_memory else _AT_ONCE)
        self._uploads = uploads
        self._held = {"bytes": 0, "in_memory": int(in_memory), "on_disk": 0}
        self._end = weakref.finalize(self, uploads.give_back, self._held)
        self._end.atexit = False

    def write(self, data: bytes) -> int:  # type: ignore[override]  # text is for other modes
        """Write a piece of the photo.

        Raises:
            UploadsFull: There is no room for it.
        """
        self._uploads.take(len(data))
        self._held["bytes"] += len(data)
        try:
            return super().write(data)
        except OSError as error:  # the disk is full, or there are no more file descriptors
            logger.warning("An upload cannot be stored: %s", error)
            raise UploadsFull from error

    def rollover(self) -> None:
        """Put it on disk, if it is not there.

        Raises:
            UploadsFull: There are too many.
        """
        if not self._held["on_disk"]:
            self._uploads.take_disk()
            self._held["on_disk"] = 1
        super().rollover()

    def close(self) -> None:
        """Close it, and make room."""
        super().close()
        self._end()

    def __exit__(self, *exception: object) -> None:
        self.close()


@functools.cache
def settings_of_process() -> Settings:
    """Those by which this process reads requests, read at the first of them."""
    return Settings.from_environment()


@functools.cache
def uploads_of_process() -> Uploads:
    """The one count of this process."""
    return Uploads(settings_of_process().max_uploads_bytes)
