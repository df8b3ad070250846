"""Whether the disk has room for what a training writes: asked before the work, not after it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Container, Iterable
from pathlib import Path

import keras

from plantood.model.store import store_dir
from plantood.training.files.disk import ensure_free
from plantood.training.photos.data import LabelledPhoto

COPIES = 4
"""Of a model's weights on the way into the store: Keras' and ONNX's, there and in the staging."""


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
    ensure_free(cache, needed, "the features of the photos", "--cache")


def ensure_room_for_graphs(backbone: keras.Model, cache: Path) -> None:
    """Compare what the graphs of a backbone will take with what is free.

    Raises:
        SettingsError: It is too little.
    """
    ensure_free(cache, 4 * backbone.count_params(), "the graph of the backbone", "--cache")


def ensure_room_to_save(backbone: keras.Model) -> None:
    """Compare what a gate model will take with what is free in the store.

    Raises:
        SettingsError: It is too little.
    """
    needed = COPIES * 4 * backbone.count_params()
    for folder in (store_dir(), Path(tempfile.gettempdir())):
        ensure_free(folder, needed, "a gate model", "BENTOML_HOME and TMPDIR")
