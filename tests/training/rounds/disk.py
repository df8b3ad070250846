"""Disks that are full, or only to be read: small file systems for a test; bounds on files."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own in memory; the test is skipped where nothing can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"nothing can be mounted here: {error.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def read_only(folder: Path) -> None:
    """Let nothing more be written to it."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not a byte; the file that is returned takes the room."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def broken(*_: object) -> None:
    """What a failing disk answers to whichever call."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def bound_files(size: int, process: int = 0) -> None:
    """Let no file of this process, or of another one, grow beyond so many bytes."""
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, size))
