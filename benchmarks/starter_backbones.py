"""What other backbones make of the starter's pictures, for :mod:`benchmarks.starter_rows`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import click
import keras
import numpy as np
from numpy.typing import NDArray

from plantood.model.entry import BACKBONE, HEAD
from plantood.model.runtime import Scorer
from plantood.training.features.cache import FeatureCache, weights_digest
from plantood.training.features.extractor import Extractor, extractor_for
from plantood.training.negatives import synthetic
from plantood.training.network import efficientnet_lite
from plantood.training.network.backbones import BACKBONES, build_backbone
from plantood.training.network.classifier import build_classifier
from plantood.training.network.export import export_gate
from plantood.training.network.heads import build_head
from plantood.training.photos import augment
from plantood.training.photos.dataset import Photos
from plantood.training.recipe import composites
from plantood.training.recipe.draw import draw_picture
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import Sample

MOBILENET = Path("weights", "mobilenet_1_0_224_imagenet_notop.weights.h5")
LITE2 = MappingProxyType({"width": 1.1, "depth": 1.2})
LITE2_SIDE = 260
GRAPHS = "graphs"
"""Folder of a backbone's graphs, beside its feature maps."""
TOLERANCE = 1e-3
"""Largest difference from torch of an embedding of EfficientNet-Lite2, of the largest of them."""


def thinned(samples: Sequence[Sample], every: int) -> NDArray[np.intp]:
    """Rows of all photos, and of one in so many of the pictures that are made of them."""
    photo = np.array([sample.kind == "photo" for sample in samples])
    return np.sort(np.concatenate([np.flatnonzero(photo), np.flatnonzero(~photo)[::every]]))


def draw_larger(sample: Sample, cuts: Cuts) -> NDArray[np.uint8]:
    """The picture of a sample at the side of EfficientNet-Lite2, ``[260, 260, 3]``.

    The starter's recipe has one side; this sets another in the process that draws, which draws
    nothing else.
    """
    for module in (augment, composites, synthetic):
        vars(module)["SIDE"] = LITE2_SIDE
    return draw_picture(sample, cuts)


def lite2_extractor(weights: Path, cache: Path) -> tuple[Extractor, float]:
    """EfficientNet-Lite2 of the file that `lite2_weights.py` writes, and how far it is from torch.

    Returns:
        The backbone as a graph, which is checked to agree with Keras, and the largest difference of
        its embeddings from torch's, of the largest of them.
    """
    with np.load(weights, allow_pickle=False) as file:
        arrays = dict(file)
    photos, expected = arrays.pop("photos"), arrays.pop("embedding")
    image = keras.Input((LITE2_SIDE, LITE2_SIDE, 3), dtype="uint8", name="image")
    preprocessed = BACKBONES["efficientnet_lite0"].preprocessing(image)
    network = efficientnet_lite.build(preprocessed, None, **LITE2)
    backbone = keras.Model(image, network.output, name="backbone")
    for layer in backbone.layers:
        if count := len(layer.weights):
            layer.set_weights([arrays.pop(f"{layer.name}.{number}") for number in range(count)])
    assert not arrays, f"{weights} has weights of layers that EfficientNet-Lite2 lacks"
    digest = weights_digest(backbone.get_weights(), str(LITE2_SIDE))
    folder = cache / f"efficientnet_lite2-{digest[:16]}"
    if not (folder / GRAPHS).is_dir():
        folder.mkdir(parents=True)
        model = build_classifier(backbone, build_head("gap", backbone.output_shape[1:]))
        with tempfile.TemporaryDirectory() as staging:
            export_gate(model, staging, photos)
            shutil.copytree(staging, folder / GRAPHS)
    scorer = _scorer(folder)
    difference = float(np.abs(scorer.score(photos).embedding - expected).max() / expected.max())
    if difference > TOLERANCE:
        raise click.ClickException(f"EfficientNet-Lite2 is {difference:.1e} away from torch's.")
    return Extractor(scorer, FeatureCache(folder / "maps"), digest), difference


def mobilenet_extractor(shared: Path, cache: Path, photos: Photos) -> Extractor:
    """MobileNet of the shared folder; some photos are there to check its graph on."""
    return extractor_for(
        "mobilenet", build_backbone("mobilenet", shared / MOBILENET), cache, photos
    )


def on_one_core(extractor: Extractor) -> Scorer:
    """The backbone with one thread."""
    return _scorer(extractor.cache.folder.parent, threads=1)


def _scorer(folder: Path, threads: int | None = None) -> Scorer:
    return Scorer(folder / GRAPHS / BACKBONE, folder / GRAPHS / HEAD, threads)
