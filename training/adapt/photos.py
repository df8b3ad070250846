"""The new photos: read, put together by scene, and scored without any correction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.errors import TrainingDataError
from plantood.model.calibration import logit
from plantood.model.entry import GateModel
from plantood.training.adapt.correct import NewPhotos
from plantood.training.fitting.features import BATCH, batches_of, read_input
from plantood.training.photos.account import ensure_photos, read_usable
from plantood.training.photos.data import Found
from plantood.training.photos.dataset import Photos
from plantood.training.photos.hashes import near_duplicates
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track

ROUND, LABELS = "round.json", "labels.csv"
"""Of :mod:`plantood.training.rounds.layout`, which needs packages that serving lacks."""


@dataclass(frozen=True)
class Given:
    """What a gate is to learn from."""

    is_round: bool
    photos: Photos
    scored: NewPhotos
    """Of the same photos."""


def is_round(path: Path) -> bool:
    """Whether a folder is a round."""
    return (path / ROUND).is_file()


def find_photos(path: Path) -> Found:
    """The labelled photos of a folder, manifest or reviewed round, not yet opened.

    Raises:
        TrainingDataError: there is none, or they cannot be read.
    """
    if not is_round(path):
        return ensure_photos(path)
    try:
        return ensure_photos(path / LABELS)
    except TrainingDataError as error:
        raise TrainingDataError(f"{error} Review it first: plantood review {path}") from error


def read_photos(gate: GateModel, path: Path, cache: Path) -> Given:
    """The photos that can be used, in the order of their digests, scored.

    Args:
        gate: it scores as it is served, but without any correction.
        path: folder, manifest or reviewed round.
        cache: folder where scanned photos are remembered.

    Raises:
        TrainingDataError: there is none, or they cannot be read.
    """
    usable, _ = read_usable(path, cache, found=find_photos(path))
    photos = tuple(sorted(usable, key=lambda photo: photo.sha256))
    scorer = gate.scorer(corrected=False)
    inputs = map_in_order(
        lambda photo: read_input(photo.path, scorer.input_size), photos, ahead=2 * BATCH
    )
    batches = batches_of(track(inputs, len(photos), "Embedding"), BATCH)
    scores = [scorer.score(batch) for batch in batches]
    probability = np.concatenate([one.plant_probability for one in scores])
    return Given(
        is_round(path),
        photos,
        NewPhotos(
            embedding=np.concatenate([one.embedding for one in scores]),
            logit=logit(probability).astype(np.float32),
            plant=np.array([photo.label == 1 for photo in photos]),
            scene=scenes(photos),
        ),
    )


def scenes(photos: Photos) -> NDArray[np.int64]:
    """Number of the scene of each photo, ``[N]``: near-duplicates, and what shares a ``group``."""
    links = near_duplicates([photo.look for photo in photos]).tolist()
    first = {photo.sha256: index for index, photo in enumerate(photos)}
    links += [
        (first.setdefault(photo.group, index), index)
        for index, photo in enumerate(photos)
        if photo.group
    ]
    scene = np.arange(len(photos))
    for one, other in links:
        scene[scene == scene[other]] = scene[one]
    return scene
