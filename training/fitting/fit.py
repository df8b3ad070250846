"""Fitting, epoch by epoch: early stopping, best weights, and resumption after a kill.

Works on anything that can be gathered by index: cached feature maps, plain arrays, or photos.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantood.training.common.settings import FitSettings
from plantood.training.features.cache import FeatureRows
from plantood.training.files.atomic import write_atomic
from plantood.training.fitting.losses import WeightedBinaryCrossentropy, mean_loss
from plantood.training.judging.outcomes import confusion
from plantood.training.process.parallel import map_in_order

SAVING_SHARE = 0.1
"""Most of the time that may go into saving the state: large heads skip epochs, small ones none."""

Inputs = NDArray[np.float32] | NDArray[np.uint8]
"""Features, or photos."""
Weights = Sequence[NDArray[np.float32]]
"""Of a model, as Keras gives and takes them."""
Batch = tuple[Inputs, NDArray[np.float32], NDArray[np.float32]]
"""Inputs ``[n, ...]``, labels ``[n]`` and weights ``[n]``."""
Gather = Callable[[NDArray[np.int64], int], Inputs]
"""``(indices, epoch) -> inputs``: the epoch lets augmentation differ from one to the next."""


class Batches:
    """Batches of ``(inputs, labels, weights)`` in an order that only seed and epoch decide."""

    def __init__(
        self,
        gather: Gather,
        labels: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        batch_size: int = 32,
        seed: int | None = None,
        threads: int = 1,
    ) -> None:
        """Shuffled anew in every epoch, or in the given order if ``seed`` is None.

        Args:
            gather: inputs for an array of indices.
            labels: ``[N]``, 1 = plant.
            weights: ``[N]``, 1 for all by default.
            batch_size: photos in a batch.
            seed: of the order.
            threads: that gather ahead while the network works; 1 gathers in its own thread.
        """
        self.gather = gather
        self.labels = np.asarray(labels, np.float32).ravel()
        self.weights = (
            np.ones_like(self.labels) if weights is None else np.asarray(weights, np.float32)
        )
        self.batch_size = batch_size
        self.seed = seed
        self.threads = threads
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set the order of this epoch, a function of seed and epoch alone."""
        self.epoch = epoch
        count = len(self.labels)
        if self.seed is None:
            self.order = np.arange(count)
        else:
            self.order = np.random.default_rng((self.seed, epoch)).permutation(count)

    def __len__(self) -> int:
        """Number of batches."""
        return math.ceil(len(self.labels) / self.batch_size)

    def __getitem__(self, index: int) -> Batch:
        """One batch."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.gather(chosen, self.epoch), self.labels[chosen], self.weights[chosen]

    def __iter__(self) -> Iterator[Batch]:
        """All batches of the epoch, gathered ahead by threads if there are several."""
        indices = range(len(self))
        if self.threads == 1:
            return map(self.__getitem__, indices)
        return map_in_order(self.__getitem__, indices, self.threads, ahead=2 * self.threads)


def array_batches(
    features: NDArray[np.float32] | FeatureRows,
    labels: ArrayLike,
    weights: ArrayLike | None = None,
    **options: Any,
) -> Batches:
    """Batches of an array ``[N, ...]`` or of `FeatureRows`."""
    return Batches(lambda indices, _: features[indices], labels, weights, **options)


@dataclass
class FitResult:
    """What a fit came to; the model itself holds the best weights."""

    val_loss: float = np.inf
    best_row: int = 0
    """Of the history, from 1, with the best weights; 0 if none was better than the start."""
    val_probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    history: list[dict[str, float]] = field(default_factory=list)


def optimizer_for(settings: FitSettings, learning_rate: float) -> keras.optimizers.Adam:
    """Adam, with decoupled weight decay (not of biases and BatchNorm) if it is asked for."""
    optimizer = keras.optimizers.Adam(learning_rate, weight_decay=settings.weight_decay or None)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def fit_model(
    model: keras.Model,
    train: Batches,
    val: Batches,
    *,
    loss: WeightedBinaryCrossentropy,
    optimizer: keras.optimizers.Optimizer,
    epochs: int,
    patience: int,
    from_start: bool = False,
    state: Path | None = None,
    on_batch: Callable[[], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> FitResult:
    """Train until the validation loss has not fallen for ``patience`` epochs; keep the best.

    Args:
        model: inputs to P(plant) ``[N, 1]``; ends with the best weights.
        train: shuffled batches.
        val: batches in order, unweighted.
        loss: of training, and of validation over ``val``.
        optimizer: a new one.
        epochs: at most.
        patience: epochs without improvement that are endured.
        from_start: count the weights as they are as epoch 0, so that they stay if none is better.
        state: file that finished epochs are written to, and that an interrupted fit with the same
            arguments goes on from, to the same result as if it had never been interrupted.
        on_batch: called after every step.
        on_epoch: called with the figures of every finished epoch, also of those restored.
    """
    model.compile(optimizer=optimizer, loss=loss)
    optimizer.build(model.trainable_variables)
    result = FitResult()
    best = model.get_weights()
    if state is not None and state.exists():
        result, best = _restore(state, model, optimizer)
    elif from_start:
        result.val_probabilities = predict(model, val)
        result.val_loss = mean_loss(loss, val.labels, result.val_probabilities, val.weights)
    for figures in result.history:
        _tell(on_epoch, figures)
    next_save = 0.0
    while len(result.history) < min(epochs, result.best_row + patience):
        epoch = len(result.history)
        train.start_epoch(epoch)
        loss_of_epoch = _train_epoch(model, train, on_batch)
        probabilities = predict(model, val)
        figures = {
            "epoch": epoch + 1,
            "loss": loss_of_epoch,
            "val_loss": mean_loss(loss, val.labels, probabilities, val.weights),
            "val_accuracy": accuracy(val.labels, probabilities),
        }
        result.history.append(figures)
        if figures["val_loss"] < result.val_loss:
            result.val_loss, result.best_row = figures["val_loss"], epoch + 1
            result.val_probabilities = probabilities
            best = model.get_weights()
        if state is not None and time.monotonic() >= next_save:
            began = time.monotonic()
            _save(state, result, best, model, optimizer)
            next_save = time.monotonic() + (time.monotonic() - began) / SAVING_SHARE
        _tell(on_epoch, figures)
    model.set_weights(best)
    return result


def _tell(on_epoch: Callable[[dict[str, float]], None] | None, figures: dict[str, float]) -> None:
    if on_epoch is not None:
        on_epoch(figures)


def predict(model: keras.Model, batches: Batches) -> NDArray[np.float32]:
    """P(plant) of every photo, ``[N]``, in the order of the batches."""
    parts = [model.predict_on_batch(inputs).reshape(-1) for inputs, _, _ in batches]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _train_epoch(
    model: keras.Model, batches: Batches, on_batch: Callable[[], None] | None
) -> float:
    """One pass; the mean loss. Batch by batch: `fit` takes longer to begin than a head to learn."""
    model.reset_metrics()
    mean_so_far = np.nan
    for inputs, labels, weights in batches:
        mean_so_far = model.train_on_batch(inputs, labels, weights)
        if on_batch is not None:
            on_batch()
    return float(mean_so_far)


def accuracy(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Share of photos ``[N]`` on the right side of one half."""
    counts = confusion(labels, probabilities, 0.5)
    return (counts["true_accept"] + counts["true_retake"]) / max(1, sum(counts.values()))


def _save(
    path: Path,
    result: FitResult,
    best: Weights,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
) -> None:
    # model.variables holds the states of the dropout generators too: without them a resumed fit
    # would draw other masks than an uninterrupted one.
    arrays = {f"model{i}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer{i}": np.asarray(v) for i, v in enumerate(optimizer.variables)}
    save_result(path, result, best, arrays)


def _restore(
    path: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> tuple[FitResult, Weights]:
    result, best, arrays = load_result(path)
    for prefix, variables in (("model", model.variables), ("optimizer", optimizer.variables)):
        for i, variable in enumerate(variables):
            variable.assign(arrays[f"{prefix}{i}"])
    return result, best


def save_result(
    path: Path, result: FitResult, best: Weights, arrays: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Write a result with its best weights (and more arrays) to one ``.npz``, atomically."""
    about = {
        "val_loss": result.val_loss,
        "best_row": result.best_row,
        "history": result.history,
        "weights": len(best),
    }
    content: dict[str, NDArray[Any]] = {f"best{i}": weight for i, weight in enumerate(best)}
    content |= arrays or {}
    content |= {"val_probabilities": result.val_probabilities, "about": np.array(json.dumps(about))}
    write_arrays(path, content)


def load_result(path: Path) -> tuple[FitResult, Weights, dict[str, NDArray[Any]]]:
    """Read what :func:`save_result` wrote: the result, the best weights, and all arrays."""
    arrays = read_arrays(path)
    about = json.loads(str(arrays["about"]))
    best = [arrays[f"best{i}"] for i in range(about["weights"])]
    result = FitResult(
        val_loss=about["val_loss"],
        best_row=about["best_row"],
        val_probabilities=arrays["val_probabilities"],
        history=about["history"],
    )
    return result, best, arrays


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name to one ``.npz``, whole or not at all."""
    # NumPy declares its own option beside the arrays, which the checker takes for one of them.
    write_atomic(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz`` by name."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)
