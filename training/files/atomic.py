"""Files that are there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from plantood.training.files.paths import SPELLING


def write_atomic(path: Path, write: Callable[[IO[bytes]], object], *, to_disk: bool = True) -> None:
    """Call ``write`` with a file under another name, force it to disk, and rename it to ``path``.

    A kill or power cut at any point leaves the old content or the new one, never a mixture.
    Several threads may write the same file.

    Args:
        path: Of the file.
        write: Writes the content into the file that it is given.
        to_disk: Wait until it is on the disk. Without, a power cut may leave the file empty: enough
            for what can be made again.
    """
    # The system's number of a thread is no other thread's, nor process's.
    unfinished = path.with_name(f"{path.name}.{threading.get_native_id()}.tmp")
    try:
        with unfinished.open("wb") as file:
            write(file)
            file.flush()
            if to_disk:
                os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        error.filename = error.filename or os.fspath(path)  # a full disk does not say where
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, to_disk: bool = True) -> None:
    """Write bytes, whole or not at all; ``to_disk`` as of :func:`write_atomic`."""
    write_atomic(path, lambda file: file.write(content), to_disk=to_disk)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, readable by people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all; it may hold names of files, whatever they are."""
    write_bytes(path, text.encode("utf-8", SPELLING))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file, whole or not at all; one row at a time, so of any length."""

    def write(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", errors=SPELLING, newline="")
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text.detach()

    write_atomic(path, write)
