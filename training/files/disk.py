"""Whether what is going to be written can be: asked before the work, not after it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from plantood.errors import SettingsError

PROBE = bytes(64 * 1024)
"""Written on trial: a disk that does not take that much is full."""


def ensure_writable(*folders: Path) -> None:
    """Make the folders, and write into them on trial.

    Raises:
        SettingsError: One of them cannot be written, or its disk is full.
    """
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _try(folder)
        except OSError as error:
            raise SettingsError(
                f"{folder} cannot be written ({error.strerror or error}); make room there, change "
                "its permissions, or choose another folder."
            ) from error


def _try(folder: Path) -> None:
    file, name = tempfile.mkstemp(dir=folder, prefix=".probe-")
    try:
        Path(name).unlink()
        if os.write(file, PROBE) < len(PROBE):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def ensure_free(folder: Path, needed: int, what: str, setting: str) -> None:
    """Compare what something will take with what is free.

    Args:
        folder: Where it goes; it exists.
        needed: Bytes that it will take.
        what: It is, in words.
        setting: By which another place can be chosen.

    Raises:
        SettingsError: It is too little.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SettingsError(
            f"{what.capitalize()} will take about {needed / 1e6:,.0f} MB in {folder}, where "
            f"{free / 1e6:,.0f} MB are free; make room, or choose another place with {setting}."
        )
