"""The two phases of one head: on cached features, then with the backbone unfrozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from plantood.errors import TrainingDataError
from plantood.model.runtime import usable_cpus
from plantood.photo.images import load_image, to_model_input
from plantood.training.common.settings import LEARNING_RATES, LINEAR_HEADS, FitSettings
from plantood.training.features.cache import FeatureCache, read_input
from plantood.training.fitting.fit import (
    Batches,
    FitResult,
    Weights,
    array_batches,
    fit_model,
    load_result,
    optimizer_for,
    predict,
    read_arrays,
    save_result,
    write_arrays,
)
from plantood.training.fitting.linear import LinearFits, chosen_for_linear, judging_weights
from plantood.training.fitting.losses import loss_of
from plantood.training.fitting.probe import Probe
from plantood.training.fitting.unseen import UNSEEN, Said
from plantood.training.judging.decision.rule import Unseen
from plantood.training.network.classifier import build_classifier, head_of, set_backbone_trainable
from plantood.training.network.heads import build_head
from plantood.training.photos.augment import augmented
from plantood.training.photos.dataset import Dataset, Photos, labels_of
from plantood.training.photos.division.balance import sample_weights
from plantood.training.process.progress import progress_bars

SCORES = "scores.npz"
"""File of each head with P(plant) by split."""


@dataclass
class TrainedHead:
    """A classifier with its best weights, what it scored, and how it got there."""

    model: keras.Model
    val_loss: float
    probabilities: dict[str, NDArray[np.float32]]
    """P(plant) by split: all but ``train``."""
    history: dict[str, list[dict[str, float]]]
    tuned: bool
    """Whether the second phase was kept: only if it lowered the validation loss."""
    settings: dict[str, float | None]
    """What was left to training, a learning rate or a penalty; None is what had no say."""
    improved: bool = True
    """False if nothing was better than the weights that it began with."""
    unseen: Unseen | None = None
    """Photos of sources that were left out, by what was fitted in the same way without them, if
    calibration and threshold are to be chosen by these."""
    margins: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """By split, how much nearer the plants are that it would remember; see `Unseen.margins`."""


@dataclass
class HeadTrainer:
    """Everything that the heads of a run have in common."""

    backbone: keras.Model
    cache: FeatureCache
    dataset: Dataset
    settings: FitSettings
    folder: Path
    start: Weights | None = None
    """Weights of a head to go on from; then they stay unless others are better. None: new ones."""

    def __post_init__(self) -> None:
        """Remember the pretrained weights: the second phase of each head starts from them."""
        self._pretrained = self.backbone.get_weights()

    def train(self, name: str) -> TrainedHead:
        """Train one head in both phases, going on where an earlier process was stopped."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        self.backbone.set_weights(self._pretrained)
        unseen = self._unseen(name)
        first, weights = _resumable(
            folder / "phase1.npz", lambda state: self._phase1(name, state, unseen)
        )
        # A fresh head: the trained one carries an optimizer that has no place in what is saved.
        # Seeded here, so that its dropout does not depend on whether phase 1 ran in this process.
        keras.utils.set_random_seed(self.settings.seed)
        head = build_head(name, self.cache.shape, self.settings.dropout)
        head.set_weights(weights)
        model = build_classifier(self.backbone, head)
        result, tuned = first, False
        history = {"frozen backbone": first.history}
        if self.settings.fine_tune_epochs:
            second, weights = _resumable(
                folder / "phase2.npz", lambda state: self._phase2(name, model, state)
            )
            history["fine-tuning"] = second.history
            # Lower than with any penalty, if another than the lowest one's was taken.
            lowest = min([first.val_loss, *(row["val_loss"] for row in first.history)])
            if second.best_row > 0 and second.val_loss < lowest:
                model.set_weights(weights)
                result, tuned = second, True
        return TrainedHead(
            model=build_classifier(self.backbone, head),
            val_loss=result.val_loss,
            probabilities=self._scores(name, model, result, tuned),
            history=history,
            tuned=tuned,
            settings=self._chosen(name, first),
            improved=tuned or first.best_row > 0,
        )

    def says(self, name: str, rest: Dataset, photos: Photos) -> Said:
        """What a linear head says of photos, fitted to a rest; see :meth:`LinearFits.says`."""
        return self._linear(name).says(rest, photos)

    def _linear(self, name: str) -> LinearFits:
        return LinearFits(name, self.cache, self.settings)

    def _unseen(self, name: str) -> Unseen | None:
        """None of heads with hidden layers, which take long, and of a start that has seen all."""
        if name not in LINEAR_HEADS or self.start is not None:
            return None
        return self._linear(name).unseen(self.dataset, self.folder / name / UNSEEN)

    def _chosen(self, name: str, first: FitResult) -> dict[str, float | None]:
        if name in LINEAR_HEADS:
            return chosen_for_linear(first, self.settings)
        return {"learning_rate": self._learning_rate(name)}

    def _learning_rate(self, name: str) -> float:
        return self.settings.learning_rate or LEARNING_RATES[name]

    def _phase1(self, name: str, state: Path, unseen: Unseen | None) -> tuple[FitResult, Weights]:
        keras.utils.set_random_seed(self.settings.seed)
        head = build_head(name, self.cache.shape, self.settings.dropout)
        from_start = self.start is not None
        if self.start is not None:
            head.set_weights(self.start)
        description = f"{name}, backbone frozen"
        if name in LINEAR_HEADS:
            result = self._linear(name).fit(
                head, self.dataset, unseen, description=description, from_start=from_start
            )
            return result, head.get_weights()
        train, val = self.dataset.train, self.dataset.val
        of_train = labels_of(train), sample_weights(train, self.settings.balance)
        of_val = labels_of(val), judging_weights(val, self.settings)
        batch_size = self.settings.batch_size
        result = self._fit(
            description,
            head,
            array_batches(
                self.cache.rows(train), *of_train, seed=self.settings.seed, batch_size=batch_size
            ),
            array_batches(self.cache.rows(val), *of_val, batch_size=batch_size),
            epochs=self.settings.epochs,
            patience=self.settings.patience,
            optimizer=optimizer_for(self.settings, self._learning_rate(name)),
            state=state,
            from_start=from_start,
        )
        return result, head.get_weights()

    def _phase2(self, name: str, model: keras.Model, state: Path) -> tuple[FitResult, Weights]:
        set_backbone_trainable(model, True)
        try:
            result = self._fit(
                f"{name}, fine-tuning",
                model,
                self.photo_batches(self.dataset.train, training=True),
                self.photo_batches(self.dataset.val),
                epochs=self.settings.fine_tune_epochs,
                patience=self.settings.fine_tune_epochs,
                optimizer=optimizer_for(self.settings, self.settings.fine_tune_learning_rate),
                state=state,
                from_start=True,
            )
        finally:
            set_backbone_trainable(model, False)
        # Nothing better than the start: then phase 1 has all that is needed.
        return result, model.get_weights() if result.best_row else []

    def photo_batches(self, photos: Photos, *, training: bool = False) -> Batches:
        """Batches read from the photo files: in order, or shuffled, weighted and augmented."""
        size = self.backbone.input_shape[1]
        seed = self.settings.seed

        def gather(indices: NDArray[np.int64], epoch: int) -> NDArray[np.uint8]:
            if not (training and self.settings.augment):
                return np.stack([read_input(photos[i].path, size) for i in indices])
            return np.stack(
                [
                    to_model_input(
                        augmented(
                            load_image(photos[i].path).pixels,
                            np.random.default_rng((seed, epoch, int(i))),
                        ),
                        size,
                    )
                    for i in indices
                ]
            )

        return Batches(
            gather,
            labels_of(photos),
            sample_weights(photos, self.settings.balance)
            if training
            else judging_weights(photos, self.settings),
            batch_size=self.settings.batch_size,
            seed=seed if training else None,
            threads=usable_cpus(),
        )

    def _fit(
        self,
        description: str,
        model: keras.Model,
        train: Batches,
        val: Batches,
        *,
        epochs: int,
        **options: Any,
    ) -> FitResult:
        """`plantood.training.fitting.fit.fit_model` with the run's loss and a progress bar."""
        with progress_bars() as bars:
            task = bars.add_task(description, total=epochs * len(train), note="")
            result = fit_model(
                model,
                train,
                val,
                loss=loss_of(self.settings),
                epochs=epochs,
                on_batch=lambda: bars.advance(task),
                on_epoch=lambda figures: _show_epoch(bars, task, figures, len(train)),
                **options,
            )
            bars.update(task, total=len(result.history) * len(train))
        if not np.isfinite(result.val_loss):
            raise TrainingDataError(
                f"The validation loss of {description} is not a number; lower the learning rate."
            )
        return result

    def _scores(
        self, name: str, model: keras.Model, result: FitResult, tuned: bool
    ) -> dict[str, NDArray[np.float32]]:
        """P(plant) of every split but ``train``."""
        file = self.folder / name / SCORES
        if not file.exists():
            scores = {"val": result.val_probabilities}
            for split, photos in self.dataset.splits().items():
                if split not in ("train", "val"):
                    scores[split] = self._predict(name, model, photos, tuned)
            write_arrays(file, scores)
        return read_arrays(file)

    def _predict(
        self, name: str, model: keras.Model, photos: Photos, tuned: bool
    ) -> NDArray[np.float32]:
        """P(plant) on the cached features; a tuned backbone must see the photos again."""
        if tuned:
            return predict(model, self.photo_batches(photos))
        if not photos:
            return np.zeros(0, np.float32)
        if name in LINEAR_HEADS:
            kernel, bias = head_of(model).get_weights()
            probe = Probe(kernel[:, 0], float(bias[0]))
            return probe.probabilities(self._linear(name).embeddings(photos))
        head = build_head(name, self.cache.shape, self.settings.dropout)
        head.set_weights(head_of(model).get_weights())
        return predict(head, array_batches(self.cache.rows(photos), labels_of(photos)))


def _resumable(
    file: Path, phase: Callable[[Path], tuple[FitResult, Weights]]
) -> tuple[FitResult, Weights]:
    """The stored result of a phase, or the phase, stored when it is done."""
    state = file.with_suffix(".state.npz")
    if not file.exists():
        result, weights = phase(state)
        save_result(file, result, weights)
    state.unlink(missing_ok=True)
    result, weights, _ = load_result(file)
    return result, weights


def _show_epoch(bars: Progress, task: Any, figures: dict[str, float], steps: int) -> None:
    note = f"epoch {figures['epoch']}: val loss {figures['val_loss']:.4f}"
    bars.update(task, completed=figures["epoch"] * steps, note=note)
