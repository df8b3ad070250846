"""What is fitted without some sources, and what it says of the photos of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plantood.training.fitting.fit import read_arrays, write_arrays
from plantood.training.judging.decision.rule import Unseen
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Dataset, Photos, labels_of
from plantood.training.photos.division.folds import COMPARED, source_folds, to_judge
from plantood.training.photos.division.units import Together
from plantood.training.process.progress import track

UNSEEN = "unseen.npz"
"""File of each head with what is said of the photos of sources left out."""


class Said(NamedTuple):
    """Of some photos."""

    probabilities: NDArray[np.float32]
    """P(plant) by each candidate, ``[K, n]``."""
    margins: NDArray[np.float32] | None = None
    """By what each candidate would remember, ``[n]``."""


Says = Callable[[Dataset, Photos], Said]
"""Fits to the training photos of a dataset, and judges other photos."""


def judge_unseen(
    dataset: Dataset, says: Says, file: Path, description: str, fewest: int = COMPARED
) -> Unseen | None:
    """Photos of ``train`` and ``val`` by fits that have not seen their source.

    Args:
        dataset: the photos.
        says: what fits and judges.
        file: keeps the result.
        description: for the progress bar.
        fewest: sources of each class; see :func:`source_folds`.

    Returns:
        None if there are too few sources.
    """
    rests = source_folds(dataset, fewest)
    if not rests:
        return None
    judged = [to_judge(dataset, rest) for rest in rests]
    if not file.exists():
        pairs = track(zip(rests, judged, strict=True), len(rests), description)
        write_said(file, [says(rest, photos) for rest, photos in pairs])
    every = [photo for photos in judged for photo in photos]
    return unseen_of(every, [read_said(file)], dataset.together)


def unseen_of(
    photos: Sequence[LabelledPhoto], parts: Sequence[Said], together: Together = ()
) -> Unseen:
    """The photos of all parts, in their order, by what was said of them.

    Args:
        photos: of all parts.
        parts: by models that have seen nothing of the unit of any of them.
        together: sources that were left out together.
    """
    said = joined(parts)
    return Unseen(
        np.array([photo.source for photo in photos]),
        labels_of(photos) == 1,
        said.probabilities,
        said.margins,
        together=together,
    )


def joined(parts: Sequence[Said]) -> Said:
    """The photos of all parts, in their order."""
    margins = [part.margins for part in parts if part.margins is not None]
    return Said(
        np.concatenate([part.probabilities for part in parts], axis=1),
        np.concatenate(margins) if len(margins) == len(parts) else None,
    )


def write_said(file: Path, parts: Sequence[Said]) -> None:
    """Write what was said to an ``.npz``, whole or not at all."""
    write_arrays(file, {k: v for k, v in joined(parts)._asdict().items() if v is not None})


def read_said(file: Path) -> Said:
    """What :func:`write_said` wrote."""
    return Said(**read_arrays(file))
