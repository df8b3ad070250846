"""Scores of one model on some splits, and every figure that is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.intervals import FEWEST
from plantood.training.judging.decision.calibration import FittedCalibration
from plantood.training.judging.decision.guarantee import Guarantee
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.metrics import by_source, calibration_error, summary
from plantood.training.judging.outcomes import accepted
from plantood.training.photos.dataset import Dataset, Photos, labels_of

NAMED = 6
"""Slices of too few photos that a sentence names; it counts the others."""


@dataclass(frozen=True)
class Scored:
    """Photos with their plant probabilities, ``[N]``."""

    photos: Photos
    probabilities: NDArray[np.float32]
    margins: NDArray[np.float32] | None = None
    """How much nearer the plants are that the model remembers, ``[N]``, if it is asked."""

    @property
    def labels(self) -> NDArray[np.float32]:
        """Labels ``[N]``, 1 = plant."""
        return labels_of(self.photos)

    @property
    def sources(self) -> list[str]:
        """Source of each photo."""
        return [photo.source for photo in self.photos]


def scored_splits(
    dataset: Dataset,
    probabilities: Mapping[str, NDArray[np.float32]],
    margins: Mapping[str, NDArray[np.float32]] | None = None,
) -> dict[str, Scored]:
    """The splits that have photos, but for ``train``, with their probabilities by split."""
    return {
        name: Scored(photos, probabilities[name], (margins or {}).get(name))
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
    calibration: FittedCalibration | None = None
    """What the probabilities of `splits` went through, if anything."""
    uncalibrated: Mapping[str, Scored] = field(default_factory=dict)
    """The splits as the network gave them."""
    guarantee: Guarantee | None = None
    """What was promised of false accepts, if that was asked for."""
    share_of_others: float | None = None
    """That the figures are of; None: of the photos as they are."""
    unseen: Unseen | None = None
    """Photos by which calibration and threshold are chosen if they are of enough sources."""

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
                    "at_half": self._summary(scored, 0.5),
                    "at_threshold": self._summary(scored, self.threshold),
                    "by_source": by_source(
                        scored.labels, scored.probabilities, scored.sources, self.threshold
                    ),
                }
                for name, scored in self.splits.items()
                if len(scored.photos)
            },
            **({"calibration": self._calibration()} if self.calibration else {}),
            **({"guarantee": self.guarantee.as_dict()} if self.guarantee else {}),
            **({"share_of_others": self.share_of_others} if self.share_of_others else {}),
            **self.details,
        }

    def loss(self, split: str) -> float:
        """That of a split, as the figures have it."""
        return float(self._summary(self.splits[split], 0.5)["loss"])

    def _summary(self, scored: Scored, threshold: float) -> dict[str, Any]:
        return summary(scored.labels, scored.probabilities, threshold, self.share_of_others)

    def _calibration(self) -> dict[str, Any]:
        """How it was chosen, and the calibration error of each split before and after."""
        assert self.calibration is not None

        def error(scored: Scored) -> float | None:
            return calibration_error(
                scored.labels, scored.probabilities, share_of_others=self.share_of_others
            )

        return self.calibration.as_dict() | {
            "error": {
                name: {"before": error(self.uncalibrated[name]), "after": error(scored)}
                for name, scored in self.splits.items()
                if len(scored.photos) and name in self.uncalibrated
            }
        }


def most_wrong(scored: Scored, count: int, threshold: float = 0.5) -> list[int]:
    """Indices of photos on the wrong side of a threshold, farthest from their label first."""
    wrong = accepted(scored.probabilities, threshold) != (scored.labels == 1)
    error = np.where(wrong, np.abs(scored.labels - scored.probabilities), -1.0)
    return [int(i) for i in np.argsort(-error, kind="stable")[:count] if wrong[i]]


def too_few_to_tell(figures: Mapping[str, Any]) -> str | None:
    """Which slices of the figures have so few photos that their shares say little.

    Args:
        figures: of :meth:`Evaluation.figures`.

    Returns:
        A sentence, or None if every slice has at least ``FEWEST`` photos.
    """
    few = [
        f"{row['source']}, {row['label']}, in {split} ({row['count']})"
        for split, values in figures["splits"].items()
        for row in values["by_source"]
        if row["count"] < FEWEST
    ]
    if not few:
        return None
    more = f"; and {len(few) - NAMED} more" if len(few) > NAMED else ""
    return (
        f"Under {FEWEST} photos, so look at the intervals, not at the shares: "
        f"{'; '.join(few[:NAMED])}{more}."
    )
