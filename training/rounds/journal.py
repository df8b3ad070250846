"""Append-only files of JSON lines: what was appended stays, whatever is killed when.

A line counts once its line feed is there. What follows the last line feed was cut off by a kill;
readers ignore it, and the next append removes it. What could not be written whole, because the disk
is full or fails, is taken back before the error is raised: a caller who says that it was not saved
says the truth, also after the next start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from plantood.errors import RoundError
from plantood.training.files.paths import SPELLING
from plantood.training.process.locks import lock


@dataclass(frozen=True)
class Appended:
    """What one call of :func:`append` wrote.

    Attributes:
        path: Of the file.
        length: Of the file before, in bytes.
        lines: What was written.
    """

    path: Path
    length: int
    lines: bytes

    def take_back(self) -> None:
        """Remove it again, so far as it is there.

        Raises:
            NotTakenBack: The disk fails, or somebody has appended more behind it.
        """
        try:
            with self.path.open("r+b", buffering=0) as file:
                lock(file)
                self._remove(file)
        except FileNotFoundError:
            return
        except OSError as error:
            raise NotTakenBack(self, error.strerror or str(error)) from error

    def _remove(self, file: IO[bytes]) -> None:
        found = os.pread(file.fileno(), len(self.lines) + 1, self.length)
        if len(found) > len(self.lines) and found.startswith(self.lines):
            raise OSError("other lines follow it")
        if self.lines.startswith(found):  # if not, another append has removed what was torn
            os.ftruncate(file.fileno(), self.length)
        os.fsync(file.fileno())


class NotTakenBack(OSError):
    """Lines that could not be saved stand in a file, and cannot be removed.

    Attributes:
        appended: What they are.
    """

    def __init__(self, appended: Appended, why: str) -> None:
        super().__init__(
            f"{appended.path} ends with something that could not be saved, and it cannot be "
            f"removed ({why})"
        )
        self.appended = appended


def append(
    path: Path, records: Iterable[Mapping[str, Any]], *, to_disk: bool = True
) -> Appended | None:
    """Append records, all of them or none; safe with several processes at work on the file.

    Args:
        path: Of the file.
        records: Written in one go.
        to_disk: Wait until they are on the disk. Without, a killed process still loses nothing,
            but a power cut may take the last records: enough for what can be made again.

    Returns:
        What was written; None if there were no records.

    Raises:
        OSError: They could not be written, and are not there.
        NotTakenBack: They could not be written, and some of it is there.
    """
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    lines = text.encode("utf-8", SPELLING)  # in JSON, the spelling is an escape
    if not lines:
        return None
    # Unbuffered: a buffer would try once more when the file is closed, and perhaps find room.
    with path.open("a+b", buffering=0) as file:
        lock(file)  # released when the file is closed, also by a kill
        _drop_torn_line(file)
        appended = Appended(path, file.seek(0, os.SEEK_END), lines)
        try:
            _write_all(file, lines)
            if to_disk:
                os.fsync(file.fileno())
        except BaseException:  # also Ctrl-C
            try:
                appended._remove(file)
            except OSError as error:
                raise NotTakenBack(appended, error.strerror or str(error)) from error
            raise
    return appended


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records so far, one at a time; none if there is no such file.

    Raises:
        RoundError: a line in the middle is damaged; the message names it.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError("no object")
            except (ValueError, RecursionError) as error:
                raise RoundError(
                    f"Line {number} of {path} is damaged ({error}); remove the line or restore "
                    "the file from a copy."
                ) from error
            yield record


def _write_all(file: IO[bytes], content: bytes) -> None:
    """Write to an unbuffered file; a disk with little room takes a part and does not complain."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _drop_torn_line(file: IO[bytes]) -> None:
    """Cut the file behind its last line feed."""
    end = file.seek(0, os.SEEK_END)
    position, kept = end, 0
    while position:
        start = max(0, position - 4096)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            kept = start + found + 1
            break
        position = start
    if kept < end:
        file.truncate(kept)
