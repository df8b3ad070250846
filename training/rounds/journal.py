"""Append-only files of JSON lines: what was appended stays, whatever is killed when.

A line counts once its line feed is there. What follows the last line feed was cut off by a kill;
readers ignore it, and the next append removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from plantood.errors import RoundError


def append(path: Path, records: Iterable[Mapping[str, Any]], *, to_disk: bool = True) -> None:
    """Append records; safe with several processes at work on the file.

    Args:
        path: Of the file.
        records: Written in one go.
        to_disk: Wait until they are on the disk. Without, a killed process still loses nothing,
            but a power cut may take the last records: enough for what can be made again.
    """
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if not lines:
        return
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also by a kill
        _drop_torn_line(file)
        file.write(lines.encode())
        file.flush()
        if to_disk:
            os.fsync(file.fileno())


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
            except ValueError as error:
                raise RoundError(
                    f"Line {number} of {path} is damaged ({error}); remove the line or restore "
                    "the file from a copy."
                ) from error
            yield record


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
