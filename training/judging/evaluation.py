"""Scores of one model on some splits, and every figure that is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.training.judging.metrics import by_source, summary
from plantood.training.photos.dataset import Dataset, Photos, labels_of


@dataclass(frozen=True)
class Scored:
    """Photos with their plant probabilities, ``[N]``."""

    photos: Photos
    probabilities: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.float32]:
        """Labels ``[N]``, 1 = plant."""
        return labels_of(self.photos)

    @property
    def sources(self) -> list[str]:
        """Source of each photo."""
        return [photo.source for photo in self.photos]


def scored_splits(
    dataset: Dataset, probabilities: Mapping[str, NDArray[np.float32]]
) -> dict[str, Scored]:
    """The splits that have photos, but for ``train``, with their probabilities by split."""
    return {
        name: Scored(photos, probabilities[name])
        for name, photos in dataset.splits().items()
        if name != "train" and photos
    }


@dataclass(frozen=True)
class Evaluation:
    """One model's scores by split, with what its report shows beside them."""

    name: str
    splits: Mapping[str, Scored]
    threshold: float
    """Of the policy: photos below it are a retake."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """How the threshold was chosen and the model was trained, for ``metrics.json``."""
    history: Mapping[str, list[dict[str, float]]] = field(default_factory=dict)
    """Figures of every epoch by phase, for the learning curves."""

    def figures(self) -> dict[str, Any]:
        """Plain values for JSON: every split at 0.5 and at the policy's threshold, by source.

        At 0.5 the figures compare with those of other models and of the source project; at the
        threshold they are what the gate does.
        """
        return {
            "name": self.name,
            "threshold": self.threshold,
            "splits": {
                name: {
                    "at_half": summary(scored.labels, scored.probabilities, 0.5),
                    "at_threshold": summary(scored.labels, scored.probabilities, self.threshold),
                    "by_source": by_source(
                        scored.labels, scored.probabilities, scored.sources, self.threshold
                    ),
                }
                for name, scored in self.splits.items()
                if len(scored.photos)
            },
            **self.details,
        }


def most_wrong(scored: Scored, count: int, threshold: float = 0.5) -> list[int]:
    """Indices of photos on the wrong side of a threshold, farthest from their label first."""
    wrong = (scored.probabilities >= threshold) != (scored.labels == 1)
    error = np.where(wrong, np.abs(scored.labels - scored.probabilities), -1.0)
    return [int(i) for i in np.argsort(-error, kind="stable")[:count] if wrong[i]]
