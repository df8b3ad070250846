"""Photos through the exported graph, decoded beside it. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.neighbours import Neighbours
from plantood.model.runtime import Scorer, Scores
from plantood.training.features.cache import BATCH, batches_of, read_input
from plantood.training.judging.evaluation import Scored
from plantood.training.photos.dataset import Photos
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track

CHECK_PHOTOS = 32
"""Photos on which an exported graph must agree with the Keras model."""


def some_photos(photos: Photos, count: int, size: int) -> NDArray[np.uint8]:
    """Inputs ``[n, size, size, 3]`` of up to ``count`` photos, spread over all of them."""
    chosen = np.unique(np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int))
    images = map_in_order(lambda i: read_input(photos[i].path, size), chosen.tolist())
    return np.stack(list(images))


def score_photos(scorer: Scorer, photos: Photos, description: str) -> Scores:
    """P(plant) ``[N]`` and embeddings ``[N, C]`` by the exported graph, decoding beside it."""
    images = map_in_order(
        lambda photo: read_input(photo.path, scorer.input_size), photos, ahead=2 * BATCH
    )
    scores = [
        scorer.score(batch) for batch in batches_of(track(images, len(photos), description), BATCH)
    ]
    if not scores:
        return scorer.score(np.zeros((0, scorer.input_size, scorer.input_size, 3), np.uint8))
    return Scores(*(np.concatenate(part) for part in zip(*scores, strict=True)))


def score_splits(
    scorer: Scorer, by_split: Mapping[str, Photos], neighbours: Neighbours | None = None
) -> dict[str, Scored]:
    """P(plant) by the exported graph, split by split, with margins by a memory if one is given."""
    splits = {}
    for name, photos in by_split.items():
        scores = score_photos(scorer, photos, f"Scoring {name}")
        margins = neighbours.distances(scores.embedding).margin if neighbours else None
        splits[name] = Scored(photos, scores.plant_probability, margins)
    return splits
