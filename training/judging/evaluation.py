"""Scores of one model on some splits, and every figure that is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.intervals import FEWEST
from plantood.training.judging.decision.calibration import FittedCalibration
from plantood.training.judging.decision.guarantee import Guarantee
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.metrics import by_source, calibration_error, summary
from plantood.training.judging.outcomes import accepted
from plantood.training.photos.data import LABELS
from plantood.training.photos.dataset import Dataset, Photos, labels_of, scenes_of

NAMED = 6
"""Slices of too few photos that a sentence names; it counts the others."""
UNGROUPED: Mapping[str, int] = MappingProxyType({})
"""No photo is grouped with another."""


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
    groups: Mapping[str, int] = field(default_factory=dict)
    """Of the photos; those of one group show one scene. See :class:`Dataset`."""

    def scenes(self, split: str) -> NDArray[np.int64]:
        """A number of each photo of a split, ``[N]``, that those which show one scene share."""
        return np.array(scenes_of(self.splits[split].photos, self.groups), np.int64)

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
                    "scenes": self._shown(name),
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

    def _shown(self, split: str) -> dict[str, int]:
        """How many scenes the photos of each class show."""
        labels, scenes = self.splits[split].labels, self.scenes(split)
        return {name: len({*scenes[labels == label].tolist()}) for name, label in LABELS.items()}

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


def interval_notes(figures: Mapping[str, Any]) -> list[str]:
    """What a reader must know of the shares and their intervals.

    Args:
        figures: of :meth:`Evaluation.figures`.

    Returns:
        A sentence if there are slices of under ``FEWEST`` photos; one if photos of one scene make
        the intervals, which take each photo as drawn by itself, too narrow.
    """
    few = [
        f"{row['source']}, {row['label']}, in {split} ({row['count']})"
        for split, values in figures["splits"].items()
        for row in values["by_source"]
        if row["count"] < FEWEST
    ]
    notes = []
    if few:
        more = f"; and {len(few) - NAMED} more" if len(few) > NAMED else ""
        notes.append(
            f"Under {FEWEST} photos, so look at the intervals, not at the shares: "
            f"{'; '.join(few[:NAMED])}{more}."
        )
    alike = []
    for split, values in figures["splits"].items():
        counts = {name: values["at_half"][f"{name}s"] for name in values["scenes"]}
        alike += [
            f"{counts[name]} {name}s in {split} show {shown} scenes"
            for name, shown in values["scenes"].items()
            if shown < counts[name]
        ]
    if alike:
        notes.append(
            f"Near-duplicates, and photos of one group, show one scene: {'; '.join(alike)}. "
            "Intervals take each photo as drawn by itself, and are too narrow by that."
        )
    return notes
