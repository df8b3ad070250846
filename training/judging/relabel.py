"""A round of photos that are labelled already, to be looked at once more: the label may be wrong.

It is reviewed as any other, and learned from as any other: where a reviewer says otherwise than
before, the new label counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.photo.images import load_image
from plantood.photo.quality import measure
from plantood.training.files.atomic import write_bytes
from plantood.training.files.paths import spelled
from plantood.training.judging.wrong_labels import FOLDS, LabelErrors, find_label_errors
from plantood.training.photos.data import CLASS_NAMES, LabelledPhoto
from plantood.training.photos.division.splits import joined_groups
from plantood.training.photos.hashes import members_by_group, near_duplicate_groups
from plantood.training.photos.walk import EXTENSIONS
from plantood.training.rounds.layout import INFO, PHOTOS, Round, RoundInfo
from plantood.training.rounds.mined import MinedPhoto
from plantood.training.rounds.plain import read_file

WRONG_LABELS = "wrong-labels"
"""Folder of the round within that of a training run."""
MOST = 200
"""Photos in it: half an hour of a reviewer. Corrected and trained again, the next ones follow."""
TWINS = "near-duplicates labelled both"
FINETUNE = "then give that folder to plantood finetune, where the new labels count."
"""How it goes on after `train` and `finetune`."""


def write_wrong_labels(
    folder: Path,
    photos: Sequence[LabelledPhoto],
    features: NDArray[np.floating],
    *,
    gate: str,
    gate_sha256: str,
) -> list[str]:
    """Write a round of the photos whose label is contradicted; one that is there already stays.

    Those come first that have a near-duplicate with the other label, then those whose label is
    least probable (:func:`plantood.training.judging.wrong_labels.find_label_errors`). With too few
    photos of a class for that, only the former are in it, with the share of plants among their
    near-duplicates for P(plant).

    Args:
        folder: of the round; not made if there is nothing to look at.
        photos: trained on, scanned.
        features: of the frozen backbone, pooled, ``[N, C]``.
        gate: whose backbone it is.
        gate_sha256: its digest.

    Returns:
        What to tell the user; nothing if no label is contradicted.
    """
    if (before := _written(folder)) is not None:
        return [_sentence(before, FINETUNE)]
    labels = np.array([photo.label for photo in photos])
    alike = near_duplicate_groups([photo.look for photo in photos])
    groups = joined_groups(photos)
    per_class = [len(np.unique(groups[labels == label])) for label in CLASS_NAMES]
    found = (
        _by_near_duplicates(labels, alike)
        if min(per_class) < FOLDS
        else find_label_errors(features, labels, groups)
    )
    twins = contradictory_twins(labels, alike)
    return write_doubted(
        folder, photos, found, twins, gate=gate, gate_sha256=gate_sha256, then=FINETUNE
    )


def write_doubted(
    folder: Path,
    photos: Sequence[LabelledPhoto],
    found: LabelErrors,
    twins: Sequence[int],
    *,
    gate: str,
    gate_sha256: str,
    then: str,
) -> list[str]:
    """Write the round of photos that somebody has judged without knowing their labels.

    Needs nothing that serving lacks.

    Args:
        folder: of the round; not made if there is nothing to look at, and kept if it is there.
        photos: learned from, scanned, ``[N]``.
        found: what the judges say of them.
        twins: indices of those that come first, see :func:`contradictory_twins`.
        gate: who judges them.
        gate_sha256: its digest.
        then: the end of the sentence, after the review: how it goes on.

    Returns:
        What to tell the user; nothing if no label is contradicted.
    """
    if (before := _written(folder)) is not None:
        return [_sentence(before, then)]
    chosen = list(dict.fromkeys([*twins, *found.suspects.tolist()]))[:MOST]
    if not chosen:
        return []
    info = RoundInfo(
        gate=gate,
        gate_sha256=gate_sha256,
        source="training photos whose label is contradicted",
        at_most=1.0,
        options={"wrong_labels": True},
        counts={
            "scored": len(photos),
            "suspects": len(found.suspects),
            "twins": len(twins),
            "mined": len(chosen),
        },
    )
    round_ = Round.create(folder, info)
    both = set(twins)
    round_.write_mined(
        _copied(folder, photos[i], float(found.probabilities[i]), i in both) for i in chosen
    )
    return [_sentence(round_, then)]


def contradictory_twins(labels: NDArray[np.integer], alike: NDArray[np.int64]) -> list[int]:
    """Indices of the photos that have near-duplicates among them with the other label.

    Args:
        labels: ``[N]``.
        alike: a number that near-duplicates share, ``[N]``.
    """
    return [
        index
        for members in members_by_group(alike).values()
        if len({*labels[members].tolist()}) > 1
        for index in members
    ]


def _by_near_duplicates(labels: NDArray[np.integer], alike: NDArray[np.int64]) -> LabelErrors:
    """Nobody suspected; for P(plant) the share of plants among a photo and its near-duplicates."""
    _, number = np.unique(alike, return_inverse=True)
    shares = np.bincount(number, labels) / np.bincount(number)
    every = np.arange(len(labels))
    return LabelErrors(shares[number], every, every[:0])


def _written(folder: Path) -> Round | None:
    """The round in a folder, if it is written to its end."""
    if not (folder / INFO).is_file():
        return None
    round_ = Round.open(folder)
    return round_ if round_.is_mined else None


def _copied(folder: Path, photo: LabelledPhoto, probability: float, twin: bool) -> MinedPhoto:
    content = read_file(photo.path)
    quality = measure(load_image(content))
    suffix = photo.path.suffix.lower()
    name = photo.sha256 + (suffix if suffix in EXTENSIONS else ".jpg")
    file = folder / PHOTOS / photo.sha256[:2] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, content)
    reasons: Iterable[str] = (f"labelled {CLASS_NAMES[photo.label]}", *([TWINS] if twin else []))
    return MinedPhoto(
        id=photo.sha256,
        path=spelled(photo.path),
        file=f"{PHOTOS}/{photo.sha256[:2]}/{name}",
        plant_probability=round(probability, 5),
        selected_by=tuple(reasons),
        verdict="accept" if probability >= 0.5 else "retake",
        reasons=(),
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        source=photo.source,
    )


def _sentence(round_: Round, then: str) -> str:
    counts = round_.info.counts
    return (
        f"{counts['suspects']} of {counts['scored']} training photos look wrongly labelled, and "
        f"{counts['twins']} have a near-duplicate with the other label. To look at "
        f"{counts['mined']} of them: plantood review {round_.path}; {then}"
    )
