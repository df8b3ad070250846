"""The new photos: read, put together by scene, and scored.

Without those that are for testing, and those that the gate knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from plantood.errors import TrainingDataError
from plantood.model.entry import GateModel
from plantood.model.manifest import TrainingData
from plantood.model.parts.calibration import logit
from plantood.training.adapt.correction.correct import NewPhotos
from plantood.training.features.cache import BATCH, batches_of, read_input
from plantood.training.files.paths import spelled
from plantood.training.judging.seen import seen_by
from plantood.training.photos.account import ensure_photos, read_usable
from plantood.training.photos.data import Found, LabelledPhoto
from plantood.training.photos.dataset import Photos, labels_digest
from plantood.training.photos.division.splits import joined_groups
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track
from plantood.training.review.log import DecisionLog
from plantood.training.rounds.layout import INFO, LABELS, Round

TEST = "test"
"""The split of photos to judge by."""


@dataclass(frozen=True)
class Given:
    """What a gate is to learn from."""

    photos: Photos
    """In the order of their digests."""
    scored: NewPhotos
    """The same photos."""
    data: tuple[TrainingData, ...]
    """Where they come from, each collection with all of its usable photos."""
    notes: tuple[str, ...]
    """What a user must know of them: labels that changed, and photos that were left out."""


def is_round(path: Path) -> bool:
    """Whether a folder is a round."""
    return (path / INFO).is_file()


def find_photos(path: Path) -> Found:
    """The labelled photos of a folder, manifest or reviewed round, not yet opened.

    Raises:
        TrainingDataError: there is none, or they cannot be read.
        RoundError: the round is not mined to the end, damaged, or its labels were changed by hand.
    """
    if not is_round(path):
        return ensure_photos(path)
    DecisionLog(Round.open(path), to_read=True)  # brings labels.csv up to the newest decision
    try:
        return ensure_photos(path / LABELS)
    except TrainingDataError as error:
        raise TrainingDataError(f"{error} Review it first: plantood review {path}") from error


def read_photos(gate: GateModel, paths: Sequence[Path], cache: Path) -> Given:
    """The photos that can be used, are not for testing, and that the gate does not know, scored.

    Args:
        gate: it scores as it is served, but without any correction.
        paths: folders, manifests or reviewed rounds; of a photo that is in several, the last label
            counts, and it is for testing if one of them says so.
        cache: folder where scanned photos are remembered.

    Raises:
        TrainingDataError: there is none, or they cannot be read.
        RoundError: as of :func:`find_photos`.
    """
    by_digest: dict[str, LabelledPhoto] = {}
    data, notes = [], []
    for path in paths:
        usable, _ = read_usable(path, cache, found=find_photos(path))
        data.append(
            TrainingData(
                kind="round" if is_round(path) else "photos",
                path=spelled(path.resolve()),
                photos=len(usable),
                labels_sha256=labels_digest(usable),
            )
        )
        before = [by_digest.get(photo.sha256, photo) for photo in usable]
        changed = sum(one.label != photo.label for one, photo in zip(before, usable, strict=True))
        if changed:
            notes.append(
                f"{changed} photos of {path} are labelled otherwise than before; the new label "
                "counts."
            )
        for one, photo in zip(before, usable, strict=True):  # a round tells no groups and splits
            split = TEST if TEST in (one.split, photo.split) else photo.split or one.split
            more = (*photo.more_groups, *one.groups)
            by_digest[photo.sha256] = replace(photo, more_groups=more, split=split)
    every = tuple(by_digest[digest] for digest in sorted(by_digest))
    taught, for_testing = without_test(every)
    if not taught:
        raise TrainingDataError(
            f"All photos of {' and '.join(map(str, paths))} are of split test, which is to judge "
            "by, not to learn from; give others, or leave their split empty."
        )
    photos, left_out = without_known(gate, taught, for_testing=len(every) - len(taught))
    return Given(photos, score(gate, photos), tuple(data), (*notes, *for_testing, *left_out))


def without_test(photos: Photos) -> tuple[Photos, list[str]]:
    """The photos that may be learned from, perhaps none, and what to tell of the others.

    Left out is what a manifest calls test, and what shows the same scene, unless the manifest
    says that this is for training or validation. There is no validation here: such photos may be
    learned from.
    """
    scene = joined_groups(photos)
    test = scene[[photo.split == TEST for photo in photos]]
    out = np.isin(scene, test) & np.array([photo.split in (TEST, None) for photo in photos])
    if not out.any():
        return photos, []
    told = (
        f"{out.sum()} of {len(photos)} photos are left out: they are of split test, or show what "
        "one of it shows, and are to judge by, not to learn from."
    )
    return tuple(photo for photo, gone in zip(photos, out, strict=True) if not gone), [told]


def without_known(
    gate: GateModel, photos: Photos, for_testing: int = 0
) -> tuple[Photos, list[str]]:
    """The photos that can judge what a gate learns from them, and what to tell of the others.

    Left out is what the gate or an ancestor was fitted to, by an earlier adaptation as well, and
    what shows the same scene.

    Args:
        gate: it.
        photos: which.
        for_testing: photos that are left out already; see :func:`without_test`.

    Raises:
        TrainingDataError: none is left.
    """
    known = seen_by(gate)
    if known is None:
        return photos, [
            f"{gate.tag} does not say which photos it has seen: if it has learned from some of "
            "these, its own figures on them are better than it is."
        ]
    scene = joined_groups(photos)
    out = np.isin(scene, scene[[known.fitted_on(photo) for photo in photos]])
    if out.all():
        parent = gate.manifest.parent
        raise TrainingDataError(
            f"{gate.tag} has learned from all of these photos already, or from near-duplicates"
            + (f", but for {for_testing} of split test" if for_testing else "")
            + ": give photos that it does not know"
            + (f", or adapt {parent}, which it comes from, with these." if parent else ".")
        )
    if not out.any():
        return photos, []
    told = (
        f"{out.sum()} of {len(photos)} photos are left out: {gate.tag} or an ancestor has learned "
        "from them, or from near-duplicates."
    )
    return tuple(photo for photo, gone in zip(photos, out, strict=True) if not gone), [told]


def score(gate: GateModel, photos: Photos) -> NewPhotos:
    """What a gate says of photos without any correction, and their scenes."""
    scorer = gate.scorer(corrected=False)
    inputs = map_in_order(
        lambda photo: read_input(photo.path, scorer.input_size), photos, ahead=2 * BATCH
    )
    batches = batches_of(track(inputs, len(photos), "Embedding"), BATCH)
    scores = [scorer.score(batch) for batch in batches]
    probability = np.concatenate([one.plant_probability for one in scores])
    return NewPhotos(
        embedding=np.concatenate([one.embedding for one in scores]),
        logit=logit(probability).astype(np.float32),
        plant=np.array([photo.label == 1 for photo in photos]),
        scene=joined_groups(photos),
    )
