"""Which Keras saved a file; if it is newer than this one, that is what is said."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras

from plantood.errors import WeightsUnavailable


@contextmanager
def told_by_version(file: Path) -> Iterator[None]:
    """Read a file of weights in this context.

    Raises:
        WeightsUnavailable: it could not be read, and is of a newer Keras.
    """
    try:
        yield
    except Exception as error:  # Keras has no kind of its own for this
        saved = saved_by(file)
        if _numbers(saved) <= _numbers(keras.__version__):
            raise
        raise WeightsUnavailable(
            f"{file} was saved by Keras {saved}, and this is Keras {keras.__version__}, which does "
            f"not read it; install that version (pip install keras=={saved}), or another gate or "
            "weights file."
        ) from error


def saved_by(file: Path) -> str:
    """The version of Keras that saved a file, as far as it tells; else empty."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        with h5py.File(file) as weights:
            return str(weights.attrs.get("keras_version", ""))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
