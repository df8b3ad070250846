from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from plantood.training.common.settings import FitSettings
from plantood.training.fitting import fit as fit_module
from plantood.training.fitting.fit import (
    Batches,
    FitResult,
    array_batches,
    fit_model,
    optimizer_for,
)
from plantood.training.fitting.losses import WeightedBinaryCrossentropy

RNG = np.random.default_rng(0)
TRAIN_Y = RNG.integers(0, 2, 90).astype(np.float32)
TRAIN_X = (RNG.normal(size=(90, 6)) + 0.7 * TRAIN_Y[:, None]).astype(np.float32)
VAL_Y = RNG.integers(0, 2, 40).astype(np.float32)
VAL_X = (RNG.normal(size=(40, 6)) + 0.7 * VAL_Y[:, None]).astype(np.float32)


def small_model() -> keras.Model:
    """With dropout and BatchNorm, whose states a resumption must restore."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation="relu")(inputs)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))


def run(model: keras.Model, epochs: int = 6, **options: Any) -> FitResult:
    learning_rate = options.pop("learning_rate", 0.02)
    return fit_model(
        model,
        array_batches(TRAIN_X, TRAIN_Y, seed=1, batch_size=16),
        array_batches(VAL_X, VAL_Y, batch_size=16),
        **{
            "loss": WeightedBinaryCrossentropy(),
            "optimizer": optimizer_for(FitSettings(weight_decay=0.01), learning_rate),
            "epochs": epochs,
            "patience": 20,
        }
        | options,
    )


def test_order_is_a_function_of_seed_and_epoch() -> None:
    first, second = (array_batches(TRAIN_X, TRAIN_Y, seed=1) for _ in range(2))
    first.start_epoch(3)
    second.start_epoch(3)
    np.testing.assert_array_equal(first.order, second.order)
    second.start_epoch(4)
    assert (first.order != second.order).any()
    np.testing.assert_array_equal(np.sort(second.order), np.arange(90))


def test_batches_carry_labels_and_weights_along() -> None:
    weights = np.arange(90, dtype=np.float32)
    batches = Batches(lambda i, _: TRAIN_X[i], TRAIN_Y, weights, batch_size=32, seed=0)
    assert [len(batches[i][0]) for i in range(len(batches))] == [32, 32, 26]
    for i in range(len(batches)):
        x, y, w = batches[i]
        np.testing.assert_array_equal(x, TRAIN_X[w.astype(int)])
        np.testing.assert_array_equal(y, TRAIN_Y[w.astype(int)])


def test_two_runs_agree() -> None:
    models = small_model(), small_model()
    results = [run(model) for model in models]
    assert results[0].history == results[1].history
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_stops_by_the_weights_of_the_validation_photos() -> None:
    """Only the first photo counts: the best epoch is the one that is surest of it."""
    weights = np.zeros(len(VAL_Y))
    weights[0] = 1
    model = small_model()
    result = fit_model(
        model,
        array_batches(TRAIN_X, TRAIN_Y, seed=1, batch_size=16),
        array_batches(VAL_X, VAL_Y, weights, batch_size=16),
        loss=WeightedBinaryCrossentropy(1.0, 1.0),
        optimizer=optimizer_for(FitSettings(), 0.02),
        epochs=6,
        patience=20,
    )
    of_first = np.abs(VAL_Y - model.predict(VAL_X, verbose=0).ravel())[0]
    assert result.val_loss == pytest.approx(-np.log1p(-of_first), rel=1e-4)


def test_the_best_weights_are_kept() -> None:
    model = small_model()
    result = run(model, epochs=25, learning_rate=0.1)
    losses = [row["val_loss"] for row in result.history]
    assert result.val_loss == min(losses)
    assert result.best_row == losses.index(min(losses)) + 1
    probabilities = model.predict(VAL_X, verbose=0).reshape(-1)
    np.testing.assert_allclose(probabilities, result.val_probabilities, atol=1e-6)


def test_early_stopping() -> None:
    result = run(small_model(), epochs=200, patience=3, learning_rate=0.1)
    assert len(result.history) == result.best_row + 3 < 200


class Killed(Exception):
    pass


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_resumed_equals_uninterrupted(
    tmp_path: Path, killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_module, "SAVING_SHARE", 1e9)  # after every epoch
    whole = small_model()
    expected = run(whole)

    def kill(figures: dict[str, float]) -> None:
        if figures["epoch"] == killed_after:
            raise Killed

    state = tmp_path / "state.npz"
    with pytest.raises(Killed):
        run(small_model(), state=state, on_epoch=kill)
    keras.utils.set_random_seed(99)  # a new process has another history
    resumed = small_model()
    trained: list[int] = []
    result = run(resumed, state=state, on_batch=lambda: trained.append(1))
    assert len(trained) == (6 - killed_after) * 6
    assert result.history == expected.history
    assert result.best_row == expected.best_row
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(result.val_probabilities, expected.val_probabilities)


def test_a_start_that_is_never_improved_on_stays() -> None:
    model = small_model()
    run(model, epochs=10)
    before = model.get_weights()
    result = run(model, epochs=2, learning_rate=3.0, from_start=True)
    assert len(result.history) == 2
    assert result.best_row == 0
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sample_weights_of_zero_teach_nothing() -> None:
    """Photos of weight 0, all labelled wrongly, change no result."""
    x, y = np.concatenate([TRAIN_X, TRAIN_X]), np.concatenate([TRAIN_Y, 1 - TRAIN_Y])
    weights = np.r_[np.full(90, 2.0), np.zeros(90)]
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(inputs))
    fit_model(
        model,
        array_batches(x, y, weights, seed=0),
        array_batches(VAL_X, VAL_Y),
        loss=WeightedBinaryCrossentropy(1.0, 1.0),
        optimizer=optimizer_for(FitSettings(), 0.05),
        epochs=15,
        patience=15,
    )
    called = model.predict(TRAIN_X, verbose=0).reshape(-1) >= 0.5
    assert (called == (TRAIN_Y == 1)).mean() > 0.75


def test_weight_decay_spares_biases() -> None:
    optimizer = optimizer_for(FitSettings(weight_decay=0.1), 0.1)
    model = small_model()
    optimizer.build(model.trainable_variables)
    before = [np.asarray(v) for v in model.trainable_variables]
    still = [np.zeros_like(value) for value in before]
    optimizer.apply(still, model.trainable_variables)
    shrunk = {
        variable.path.split("/")[-1]
        for variable, value in zip(model.trainable_variables, before, strict=True)
        if not np.array_equal(variable, value)
    }
    assert shrunk == {"kernel"}
