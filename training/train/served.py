"""What a farmer meets: a stored gate with all that it serves with, on labelled photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantood.model.entry import GateModel
from plantood.model.parts.policy import Policy, reasons_to_retake
from plantood.photo.images import load_image, to_model_input
from plantood.photo.quality import measure
from plantood.training.common.intervals import share
from plantood.training.common.tables import Row
from plantood.training.features.cache import BATCH
from plantood.training.judging.evaluation import Scored
from plantood.training.photos.data import CLASS_NAMES, LabelledPhoto
from plantood.training.photos.dataset import Photos, labels_of
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track
from plantood.verdict import Quality, ReasonCode


@dataclass(frozen=True)
class Served:
    """Verdicts on photos, and what the network alone says of them."""

    photos: Photos
    probabilities: NDArray[np.float32]
    """P(plant) as it is served, ``[N]``."""
    reasons: tuple[tuple[ReasonCode, ...], ...]
    """Why each is sent back; empty if it is accepted."""

    @property
    def alone(self) -> Scored:
        """The network without quality cues."""
        return Scored(self.photos, self.probabilities)

    @property
    def whole(self) -> Scored:
        """The gate: P(plant), but 0 of a photo that is sent back for another reason."""
        refused = [bool(set(of) - {ReasonCode.NOT_A_PLANT}) for of in self.reasons]
        return Scored(self.photos, np.where(refused, np.float32(0), self.probabilities))


def judge_served(
    gate: GateModel, by_split: Mapping[str, Photos], policy: Policy | None = None
) -> dict[str, Served]:
    """Judge photos as the service does, but for its limits on the size of an upload.

    Args:
        gate: with its graph and its calibration.
        by_split: usable photos.
        policy: the thresholds; by default the gate's own.
    """
    scorer = gate.scorer()
    policy = policy or gate.manifest.policy

    def decoded(photo: LabelledPhoto) -> tuple[NDArray[np.uint8], Quality]:
        image = load_image(photo.path)
        return to_model_input(image, scorer.input_size), measure(image)

    def judged(
        batch: list[tuple[NDArray[np.uint8], Quality]],
    ) -> list[tuple[float, tuple[ReasonCode, ...]]]:
        scores = scorer.score(np.stack([pixels for pixels, _ in batch]))
        return [
            (p, tuple(reasons_to_retake(quality, policy, p)))
            for (_, quality), p in zip(batch, scores.plant_probability.tolist(), strict=True)
        ]

    found = {}
    for name, photos in by_split.items():
        images = map_in_order(decoded, photos, ahead=2 * BATCH)
        told: list[tuple[float, tuple[ReasonCode, ...]]] = []
        batch = []
        for image in track(images, len(photos), f"Judging {name}"):
            batch.append(image)
            if len(batch) == BATCH:
                told += judged(batch)
                batch = []
        if batch:
            told += judged(batch)
        found[name] = Served(
            photos, np.array([p for p, _ in told], np.float32), tuple(why for _, why in told)
        )
    return found


def reasons_table(served: Mapping[str, Served]) -> tuple[Row, list[Row]]:
    """How many photos of each class and split are sent back for which first reason."""
    rows: list[Row] = []
    for split, one in served.items():
        labels = labels_of(one.photos)
        for label, name in sorted(CLASS_NAMES.items(), reverse=True):
            mine = [why for why, found in zip(one.reasons, labels, strict=True) if found == label]
            counts = Counter(why[0].value for why in mine if why)
            rows += [
                [split, name, reason, str(count), share(count, len(mine))]
                for reason, count in counts.most_common()
            ]
    return ["split", "class", "sent back as", "photos", "of its class"], rows
