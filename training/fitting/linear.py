"""Linear heads on the features of a frozen backbone: one best solution a penalty, no epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from plantood.errors import TrainingDataError
from plantood.model.parts.arrays import unit
from plantood.training.common.settings import PENALTIES, CostSettings, FitSettings
from plantood.training.features.cache import FeatureCache
from plantood.training.fitting.fit import FitResult, accuracy
from plantood.training.fitting.losses import WeightedBinaryCrossentropy, loss_of, mean_loss
from plantood.training.fitting.probe import Probe, fit_path
from plantood.training.fitting.unseen import Said, judge_unseen
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.metrics import prevalence_weights
from plantood.training.network.heads import LAST_LAYER
from plantood.training.photos.dataset import Dataset, Photos, labels_of
from plantood.training.photos.division.balance import sample_weights
from plantood.training.process.progress import track


class Rows(NamedTuple):
    """Photos of one split."""

    embeddings: NDArray[np.float32]
    """What reaches the last layer, ``[N, C]``; see :func:`embeddings_of`."""
    labels: NDArray[np.float32]
    """``[N]``, 1 = plant."""
    weights: NDArray[np.floating]
    """Of the photos, apart from those of the loss, ``[N]``, > 0."""


def embeddings_of(head: str, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
    """What reaches the last layer of one of `LINEAR_HEADS`, ``[N, C]``: nothing is dropped.

    Args:
        head: its name.
        pooled: global average pools of the backbone's feature maps, ``[N, C]``.

    Raises:
        TrainingDataError: a feature is not a number.
    """
    if not np.isfinite(pooled).all():
        raise TrainingDataError(
            f"The features for {head} are not all numbers; give other --weights."
        )
    return unit(pooled) if head == "gap_l2" else pooled


def judging_weights(photos: Photos, settings: FitSettings) -> NDArray[np.float64]:
    """Weights of validation photos, ``[N]``, under which others are as common as is expected.

    By these training stops; the loss of the report, by which the best head is taken, is weighed
    alike.
    """
    return prevalence_weights(labels_of(photos), settings.share_of_others)


def weights_of_classes(
    plant: NDArray[np.bool_], loss: WeightedBinaryCrossentropy
) -> NDArray[np.float64]:
    """How much the loss counts each photo, ``[N]``."""
    return np.where(plant, loss.false_retake_weight, loss.false_accept_weight)


def fit_linear(
    head: keras.Model,
    train: Rows,
    val: Rows,
    *,
    loss: WeightedBinaryCrossentropy,
    penalties: Sequence[float],
    description: str,
    from_start: bool = False,
    unseen_losses: Sequence[float] | None = None,
) -> FitResult:
    """Fit the last layer for each penalty; the head ends with the best weights.

    Args:
        head: of `LINEAR_HEADS`.
        train: both classes occur.
        val: the loss on these is what chooses, if nothing better does.
        loss: of training, and of validation.
        penalties: as for :func:`plantood.training.fitting.probe.fit_path`.
        description: for the progress bar.
        from_start: draw towards the weights as they are, which stay if none is better.
        unseen_losses: of each penalty, on photos of sources that were left out: these choose.

    Returns:
        With one row of history a penalty.
    """
    last = head.get_layer(LAST_LAYER)
    plant = train.labels == 1
    result, best = FitResult(), last.get_weights()
    start, lowest = None, np.inf
    if from_start:
        start = Probe(best[0][:, 0], float(best[1][0]))
        result.val_probabilities = start.probabilities(val.embeddings)
        result.val_loss = mean_loss(loss, val.labels, result.val_probabilities, val.weights)
        lowest = result.val_loss
    weights = train.weights * weights_of_classes(plant, loss)
    fits = fit_path(train.embeddings, plant, weights, penalties, start)
    for row, probe in enumerate(track(fits, len(penalties), description)):
        learned, judged = map(probe.probabilities, (train.embeddings, val.embeddings))
        figures = {
            "penalty": penalties[row],
            "loss": mean_loss(loss, train.labels, learned, train.weights),
            "val_loss": mean_loss(loss, val.labels, judged, val.weights),
            "val_accuracy": accuracy(val.labels, judged),
        }
        if unseen_losses is not None:
            figures["unseen_loss"] = unseen_losses[row]
        result.history.append(figures)
        chooses = figures.get("unseen_loss", figures["val_loss"])
        if chooses < lowest:
            lowest, result.best_row = chooses, row + 1
            result.val_loss, result.val_probabilities = figures["val_loss"], judged
            best = probe.weights
    last.set_weights(best)
    return result


def chosen_for_linear(result: FitResult, settings: FitSettings) -> dict[str, float | None]:
    """The penalty of the best weights, or what was asked for if none was better than the start.

    None is what had no say.

    Args:
        result: of :func:`fit_linear`.
        settings: of the run, which the second phase is trained by, if there is one.
    """
    without = ["epochs", "patience", "learning_rate"]
    if not settings.fine_tune_epochs:
        without += ["batch_size", "dropout", "weight_decay"]
    rows = result.history[: result.best_row]
    penalty = rows[-1]["penalty"] if rows else settings.penalty
    return {**dict.fromkeys(without), "penalty": penalty}


@dataclass(frozen=True)
class LinearFits:
    """One linear head on cached features: fitted to some photos, and asked of others."""

    name: str
    """Of `LINEAR_HEADS`."""
    cache: FeatureCache
    settings: FitSettings

    def fit(
        self,
        head: keras.Model,
        dataset: Dataset,
        unseen: Unseen | None,
        *,
        description: str,
        from_start: bool,
    ) -> FitResult:
        """Fit the head to ``dataset.train``; see :func:`fit_linear`.

        Raises:
            TrainingDataError: a feature is not a number.
        """
        costs = CostSettings(share_of_others=self.settings.share_of_others)
        return fit_linear(
            head,
            self._rows(dataset.train),
            self._rows(dataset.val)._replace(weights=judging_weights(dataset.val, self.settings)),
            loss=loss_of(self.settings),
            penalties=self._penalties,
            description=description,
            from_start=from_start,
            unseen_losses=unseen.losses(costs, self.settings.loss_weights) if unseen else None,
        )

    def says(self, rest: Dataset, photos: Photos) -> Said:
        """P(plant) of photos by the head for each penalty, fitted to ``rest.train``.

        Raises:
            TrainingDataError: a feature is not a number.
        """
        rows = self._rows(rest.train)
        plant = rows.labels == 1
        weights = rows.weights * weights_of_classes(plant, loss_of(self.settings))
        judged = self.embeddings(photos)
        fits = fit_path(rows.embeddings, plant, weights, self._penalties)
        return Said(np.stack([probe.probabilities(judged) for probe in fits]))

    def unseen(self, dataset: Dataset, file: Path) -> Unseen | None:
        """What each penalty comes to on sources left out; None if there is one penalty.

        See :func:`judge_unseen`.
        """
        if self.settings.penalty:
            return None
        return judge_unseen(dataset, self.says, file, f"{self.name}, without sources")

    def embeddings(self, photos: Photos) -> NDArray[np.float32]:
        """What reaches the last layer of the head, ``[N, C]``."""
        return embeddings_of(self.name, self.cache.rows(photos).pooled())

    @property
    def _penalties(self) -> Sequence[float]:
        return [self.settings.penalty] if self.settings.penalty else PENALTIES

    def _rows(self, photos: Photos) -> Rows:
        weights = sample_weights(photos, self.settings.balance)
        return Rows(self.embeddings(photos), labels_of(photos), weights)
