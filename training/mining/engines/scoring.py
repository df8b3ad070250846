"""From the path of a photo to its line in ``scores.jsonl``; the same for every engine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.errors import UnreadablePhoto
from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbour, Neighbours
from plantood.model.parts.policy import Policy, reasons_to_retake
from plantood.model.runtime import Scorer
from plantood.photo.images import Limits, load_image, to_model_input
from plantood.photo.quality import measure
from plantood.training.mining.sources import FetchError, read
from plantood.training.mining.worklist import Task
from plantood.verdict import Quality

DECIMALS = 5
"""Scores are rounded to these: how a batch happens to be made up changes the sixth."""

NEAREST = 3
"""Remembered pictures that a reviewer is told for each photo."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """A readable photo before the network.

    Attributes:
        task: Which photo.
        id: SHA-256 of its bytes, hexadecimal.
        pixels: uint8 RGB ``[S, S, 3]``.
        quality: What was measured.
    """

    task: Task
    id: str
    pixels: NDArray[np.uint8]
    quality: Quality


@dataclass(frozen=True)
class Outcome:
    """What became of a photo.

    Attributes:
        task: Which photo.
        id: SHA-256 of its bytes, hexadecimal; empty if they could not be had.
        score: Its line for ``scores.jsonl``; None if it was not scored.
        error: Why it is unreadable, or empty.
    """

    task: Task
    id: str = ""
    score: dict[str, Any] | None = None
    error: str = ""

    @property
    def fetched(self) -> bool:
        """False if the source did not give the bytes."""
        return bool(self.id)


def decode(task: Task, size: int, limits: Limits) -> Decoded | Outcome:
    """Fetch, decode and measure one photo as serving does; a bad one has its outcome at once.

    Args:
        task: Which photo.
        size: Side S of the network's square input, in pixels.
        limits: Bounds on bytes and pixels.
    """
    try:
        data = read(task.path, limits.max_bytes)
    except FetchError as error:
        return Outcome(task, error=f"the file cannot be read: {error}")
    identity = hashlib.sha256(data).hexdigest()
    try:
        image = load_image(data, limits)
    except UnreadablePhoto as error:
        return Outcome(task, identity, error=str(error))
    return Decoded(task, identity, to_model_input(image, size), measure(image))


class BatchJudge:
    """The network, the memory and the policy of a gate."""

    def __init__(self, scorer: Scorer, memory: Memory | None, policy: Policy) -> None:
        self.scorer = scorer
        self.neighbours = None if memory is None else Neighbours(memory)
        self.policy = policy

    def score(self, photos: Sequence[Decoded]) -> list[Outcome]:
        """Score photos in one forward pass.

        Photos that their quality refuses are scored too, which the service would not do; the
        verdict and its reasons are those that the service would give.
        """
        if not photos:
            return []
        scores = self.scorer.score(np.stack([photo.pixels for photo in photos]))
        nearest: list[tuple[Neighbour, ...]] = [()] * len(photos)
        if self.neighbours is not None:
            nearest = self.neighbours.nearest(scores.embedding, NEAREST)
        probabilities = scores.plant_probability.tolist()
        return [
            Outcome(photo.task, photo.id, self._line(photo, probability, near))
            for photo, probability, near in zip(photos, probabilities, nearest, strict=True)
        ]

    def _line(
        self, photo: Decoded, plant_probability: float, nearest: Sequence[Neighbour]
    ) -> dict[str, Any]:
        plant_probability = round(plant_probability, DECIMALS)
        reasons = reasons_to_retake(photo.quality, self.policy, plant_probability)
        line = {
            "id": photo.id,
            "path": photo.task.path,
            "plant_probability": plant_probability,
            "nearest": [list(neighbour) for neighbour in nearest],
            "verdict": "retake" if reasons else "accept",
            "reasons": [reason.value for reason in reasons],
            "quality": photo.quality.model_dump(),
        }
        return line | ({"source": photo.task.source} if photo.task.source else {})
