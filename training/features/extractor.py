"""The frozen backbone as an ONNX graph: several times faster on a CPU than Keras' ``predict``."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from plantood.model.entry import BACKBONE, HEAD
from plantood.model.runtime import Scorer
from plantood.training.features.cache import FeatureCache, weights_digest
from plantood.training.features.room import ensure_room_for_graphs
from plantood.training.features.scoring import CHECK_PHOTOS, some_photos
from plantood.training.network.backbones import BACKBONES
from plantood.training.network.classifier import build_classifier
from plantood.training.network.export import export_gate
from plantood.training.network.heads import build_head
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Photos

VERSION = 1
"""Raised when photos are read differently, so that old features are not mistaken for new ones."""


@dataclass(frozen=True)
class Extractor:
    """One frozen backbone with the cache of its feature maps."""

    scorer: Scorer
    cache: FeatureCache
    digest: str
    """Of weights, preprocessing and input size."""

    def fill(self, photos: Sequence[LabelledPhoto]) -> None:
        """Compute the feature maps of the photos that are not in the cache yet."""
        self.cache.fill(photos, self.scorer.feature_map, self.scorer.input_size)


def extractor_for(name: str, backbone: keras.Model, cache: Path, photos: Photos) -> Extractor:
    """:func:`open_extractor` that is checked on some of these photos."""
    check_images = some_photos(photos, CHECK_PHOTOS, BACKBONES[name].input_size)
    return open_extractor(name, backbone, cache, check_images)


def open_extractor(
    name: str, backbone: keras.Model, cache: Path, check_images: NDArray[np.uint8]
) -> Extractor:
    """The graph and the feature cache of a backbone, exported only if this one is new.

    Args:
        name: of the backbone, in `BACKBONES`.
        backbone: built, with its weights.
        cache: folder shared by all runs.
        check_images: some photos ``[N, S, S, 3]`` on which graph and Keras model must agree.

    Raises:
        ExportMismatch: if they do not.
    """
    spec = BACKBONES[name]
    about = json.dumps(
        {"version": VERSION, "size": spec.input_size} | spec.preprocessing.as_dict(), sort_keys=True
    )
    digest = weights_digest(backbone.get_weights(), about)
    folder = cache / f"{name}-{digest[:16]}"
    graphs = folder / "graphs"
    if not graphs.is_dir():
        ensure_room_for_graphs(backbone, cache)
        folder.mkdir(parents=True, exist_ok=True)
        # The head is there because graphs come in pairs; only the backbone's output is used.
        model = build_classifier(backbone, build_head("gap", backbone.output_shape[1:]))
        with tempfile.TemporaryDirectory(dir=folder, prefix="export-") as staging:
            export_gate(model, staging, check_images)
            staged = Path(staging, "graphs")
            staged.mkdir()
            for file in (BACKBONE, HEAD):
                shutil.move(Path(staging, file), staged / file)
            if not graphs.is_dir():  # another run may have been faster
                staged.rename(graphs)
    scorer = Scorer(graphs / BACKBONE, graphs / HEAD)
    return Extractor(scorer, FeatureCache(folder / "maps"), digest)
