"""Linear heads on the features of a frozen backbone: one best solution a penalty, no epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from plantood.errors import TrainingDataError
from plantood.model.calibration import sigmoid
from plantood.training.common.settings import FitSettings
from plantood.training.fitting.fit import FitResult, accuracy
from plantood.training.fitting.losses import WeightedBinaryCrossentropy, mean_loss
from plantood.training.fitting.probe import Probe, fit_path
from plantood.training.network.heads import LAST_LAYER
from plantood.training.process.progress import track


class Rows(NamedTuple):
    """Photos of one split."""

    features: NDArray[np.float32]
    """Pooled, ``[N, 1, 1, C]``."""
    labels: NDArray[np.float32]
    """``[N]``, 1 = plant."""
    weights: NDArray[np.floating]
    """Of the photos, apart from those of the loss, ``[N]``, > 0."""


def fit_linear(
    head: keras.Model,
    train: Rows,
    val: Rows,
    *,
    loss: WeightedBinaryCrossentropy,
    penalties: Sequence[float],
    description: str,
    from_start: bool = False,
) -> FitResult:
    """Fit the last layer for each penalty; the head ends with the best weights on validation.

    Args:
        head: of `LINEAR_HEADS`, on pooled features: ``[N, 1, 1, C]`` to P(plant) ``[N, 1]``.
        train: both classes occur.
        val: the loss on these is what chooses.
        loss: of training, and of validation.
        penalties: as for :func:`plantood.training.fitting.probe.fit_path`.
        description: for the progress bar and errors.
        from_start: draw towards the weights as they are, which stay if none is better.

    Returns:
        With one row of history a penalty.

    Raises:
        TrainingDataError: a feature is not a number.
    """
    last = head.get_layer(LAST_LAYER)
    embed = keras.Model(head.inputs, last.input)
    train_x, val_x = (_embeddings(embed, rows.features, description) for rows in (train, val))
    plant = train.labels == 1
    of_class = np.where(plant, loss.false_retake_weight, loss.false_accept_weight)
    result, best = FitResult(), last.get_weights()
    start = None
    if from_start:
        start = Probe(best[0][:, 0], float(best[1][0]))
        result.val_probabilities = _probabilities(start, val_x)
        result.val_loss = mean_loss(loss, val.labels, result.val_probabilities, val.weights)
    fits = fit_path(train_x, plant, train.weights * of_class, penalties, start)
    for probe in track(fits, len(penalties), description):
        probabilities = _probabilities(probe, val_x)
        figures = {
            "penalty": penalties[len(result.history)],
            "loss": mean_loss(loss, train.labels, _probabilities(probe, train_x), train.weights),
            "val_loss": mean_loss(loss, val.labels, probabilities, val.weights),
            "val_accuracy": accuracy(val.labels, probabilities),
        }
        result.history.append(figures)
        if figures["val_loss"] < result.val_loss:
            result.val_loss, result.best_row = figures["val_loss"], len(result.history)
            result.val_probabilities = probabilities
            best = probe.weights
    last.set_weights(best)
    return result


def chosen_for_linear(result: FitResult, settings: FitSettings) -> dict[str, float | None]:
    """The penalty of the best weights, if one was better than the start; None is what had no say.

    Args:
        result: of :func:`fit_linear`.
        settings: of the run, which the second phase is trained by, if there is one.
    """
    without = ["epochs", "patience", "learning_rate"]
    if not settings.fine_tune_epochs:
        without += ["batch_size", "dropout", "weight_decay"]
    penalty = result.history[result.best_row - 1]["penalty"] if result.best_row else None
    return {**dict.fromkeys(without), "penalty": penalty}


def _embeddings(
    embed: keras.Model, features: NDArray[np.float32], description: str
) -> NDArray[np.float32]:
    """What reaches the last layer, ``[N, C]``: nothing is dropped."""
    embeddings: NDArray[np.float32] = embed.predict_on_batch(features)
    if not np.isfinite(embeddings).all():
        raise TrainingDataError(
            f"The features for {description} are not all numbers; give other --weights."
        )
    return embeddings


def _probabilities(probe: Probe, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    return sigmoid(probe.logits(embeddings)).astype(np.float32)
