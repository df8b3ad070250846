"""A round of photos that are labelled already, to be looked at once more: the label may be wrong.

It is reviewed as any other, and given to fine-tuning as any other: where a reviewer says otherwise
than before, the new label counts.
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
from plantood.training.judging.wrong_labels import FOLDS, find_label_errors
from plantood.training.photos.data import CLASS_NAMES, LabelledPhoto
from plantood.training.photos.hashes import members_by_group, near_duplicate_groups
from plantood.training.photos.splits import joined_groups
from plantood.training.photos.walk import EXTENSIONS
from plantood.training.rounds.layout import PHOTOS, Round, RoundInfo
from plantood.training.rounds.mined import MinedPhoto
from plantood.training.rounds.plain import read_file

WRONG_LABELS = "wrong-labels"
"""Folder of the round within that of a training run."""
MOST = 200
"""Photos in it: half an hour of a reviewer. Corrected and trained again, the next ones follow."""
TWINS = "near-duplicates labelled both"


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
    least probable (:func:`plantood.training.judging.wrong_labels.find_label_errors`).

    Args:
        folder: of the round; not made if there is nothing to look at.
        photos: trained on, scanned.
        features: of the frozen backbone, pooled, ``[N, C]``.
        gate: whose backbone it is.
        gate_sha256: its digest.

    Returns:
        What to tell the user; nothing if no label is contradicted.
    """
    if folder.exists() and (round_ := Round.open(folder)).is_mined:
        return [_sentence(round_)]
    twins = contradictory_twins(photos)
    labels = np.array([photo.label for photo in photos])
    groups = joined_groups(photos)
    per_class = [len(np.unique(groups[labels == label])) for label in CLASS_NAMES]
    if min(per_class) < FOLDS:
        return []
    found = find_label_errors(features, labels, groups)
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
    rest = set(twins)
    round_.write_mined(
        _copied(folder, photos[i], float(found.probabilities[i]), i in rest) for i in chosen
    )
    return [_sentence(round_)]


def contradictory_twins(photos: Sequence[LabelledPhoto]) -> list[int]:
    """Indices of the photos that have near-duplicates among them with the other label."""
    groups = near_duplicate_groups([photo.look for photo in photos])
    return [
        index
        for members in members_by_group(groups).values()
        if len({photos[i].label for i in members}) > 1
        for index in members
    ]


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


def _sentence(round_: Round) -> str:
    counts = round_.info.counts
    return (
        f"{counts['suspects']} of {counts['scored']} training photos look wrongly labelled, and "
        f"{counts['twins']} have a near-duplicate with the other label. To look at "
        f"{counts['mined']} of them: plantood review {round_.path}; then give that folder to "
        "plantood finetune, where the new labels count."
    )
