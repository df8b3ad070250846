"""Whether what is going to be written can be: asked before the work, not after it."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from plantood.errors import SettingsError

if TYPE_CHECKING:
    import keras

    from plantood.training.photos.data import LabelledPhoto

PROBE = bytes(64 * 1024)
"""Written on trial: a disk that does not take that much is full."""
COPIES = 4
"""Of a model's weights on the way into the store: Keras' and ONNX's, there and in the staging."""


def store() -> Path:
    """The Bento model store."""
    from plantood.model.store import store_dir

    return store_dir()


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


def ensure_room(
    photos: Iterable[LabelledPhoto], known: Container[str], backbone: keras.Model, cache: Path
) -> None:
    """Compare what the features of new photos will take with what is free.

    Args:
        photos: Whose features are needed.
        known: Digests of those whose features are there.
        backbone: Computes them.
        cache: Where they go.

    Raises:
        SettingsError: It is too little.
    """
    one = 2 * math.prod(backbone.output_shape[1:])  # float16
    needed = one * len({photo.sha256 for photo in photos if photo.sha256 not in known})
    _ensure_free(cache, needed, "the features of the photos", "--cache")


def ensure_room_for_graphs(backbone: keras.Model, cache: Path) -> None:
    """Compare what the graphs of a backbone will take with what is free.

    Raises:
        SettingsError: It is too little.
    """
    _ensure_free(cache, 4 * backbone.count_params(), "the graph of the backbone", "--cache")


def ensure_room_to_save(backbone: keras.Model) -> None:
    """Compare what a gate model will take with what is free in the store.

    Raises:
        SettingsError: It is too little.
    """
    needed = COPIES * 4 * backbone.count_params()
    for folder in (store(), Path(tempfile.gettempdir())):
        _ensure_free(folder, needed, "a gate model", "BENTOML_HOME and TMPDIR")


def _ensure_free(folder: Path, needed: int, what: str, setting: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SettingsError(
            f"{what.capitalize()} will take about {needed / 1e6:,.0f} MB in {folder}, where "
            f"{free / 1e6:,.0f} MB are free; make room, or choose another place with {setting}."
        )
