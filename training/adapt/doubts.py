"""New photos whose label the others contradict, as a round to look at once more."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plantood.model.entry import MANIFEST, GateModel, sha256
from plantood.model.parts.calibration import sigmoid
from plantood.training.adapt.correction.fit import Vector
from plantood.training.adapt.photos import Given
from plantood.training.judging.relabel import WRONG_LABELS, contradictory_twins, write_doubted
from plantood.training.judging.wrong_labels import label_errors
from plantood.training.photos.hashes import near_duplicate_groups


def write_doubts(
    folder: Path, parent: GateModel, given: Given, left_out: Vector, paths: Sequence[Path]
) -> list[str]:
    """Write the round, if there is something to look at; one that is there already stays.

    Args:
        folder: of this adaptation.
        parent: the gate that learns.
        given: the new photos, ``[M]``.
        left_out: logits of these, each by a correction that was fitted without its scene, ``[M]``.
        paths: where the photos come from, as they were given.

    Returns:
        What to tell the user.
    """
    round_ = folder / WRONG_LABELS
    alike = near_duplicate_groups([photo.look for photo in given.photos])
    again = shlex.join(["plantood", "adapt", parent.tag, *map(str, paths), str(round_)])
    return write_doubted(
        round_,
        given.photos,
        label_errors(sigmoid(left_out), given.scored.plant),
        contradictory_twins(given.scored.plant.astype(np.int64), alike),
        gate=parent.tag,
        gate_sha256=sha256(parent.path / MANIFEST),
        then=f"then learn from all of them anew, where the new labels count: {again}",
    )
