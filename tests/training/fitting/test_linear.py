from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from plantood.errors import TrainingDataError
from plantood.training.common.settings import PENALTIES, FitSettings
from plantood.training.fitting.fit import FitResult
from plantood.training.fitting.linear import (
    Rows,
    chosen_for_linear,
    embeddings_of,
    fit_linear,
)
from plantood.training.fitting.losses import WeightedBinaryCrossentropy, mean_loss
from plantood.training.network.heads import build_head

CHANNELS = 12
PLAIN = WeightedBinaryCrossentropy(1.0, 1.0)


def rows(seed: int, count: int = 200, **options: Any) -> Rows:
    """Features that tell plants from others, none of them for sure."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count).astype(np.float32)
    sign = np.where(np.arange(CHANNELS) % 2, 1.0, -1.0)
    x = rng.normal(1.0, 1.0, (count, CHANNELS)) + sign * (labels[:, None] - 0.5)
    weights = options.get("weights", np.ones(count))
    return Rows(np.abs(x).astype(np.float32), labels, weights)


TRAIN, VAL = rows(0), rows(1)


def fitted(name: str = "gap", **options: Any) -> tuple[keras.Model, FitResult]:
    head = options.pop("head", None) or build_head(name, (1, 1, CHANNELS))
    choices = {"loss": PLAIN, "penalties": PENALTIES, "description": "a test"} | options
    train, val = (
        rows._replace(embeddings=embeddings_of(name, rows.embeddings))
        for rows in (choices.pop("train", TRAIN), choices.pop("val", VAL))
    )
    return head, fit_linear(head, train, val, **choices)


def probabilities(head: keras.Model, data: Rows) -> np.ndarray:
    """By the whole head, of feature maps of one place."""
    return head.predict(data.embeddings[:, None, None, :], verbose=0).ravel()


@pytest.mark.parametrize("name", ["gap", "gap_l2"])
def test_the_head_has_the_weights_that_validation_chose(name: str) -> None:
    head, result = fitted(name)
    assert [row["penalty"] for row in result.history] == list(PENALTIES)
    losses = [row["val_loss"] for row in result.history]
    assert result.val_loss == min(losses) == losses[result.best_row - 1]
    found = probabilities(head, VAL)
    np.testing.assert_allclose(found, result.val_probabilities, atol=1e-5)
    assert mean_loss(PLAIN, VAL.labels, found) == pytest.approx(result.val_loss, rel=1e-4)
    assert result.val_loss < 0.6 < np.log(2)
    row = result.history[result.best_row - 1]
    accuracy = ((found >= 0.5) == (VAL.labels == 1)).mean()
    assert row["val_accuracy"] == pytest.approx(accuracy)
    trained = mean_loss(PLAIN, TRAIN.labels, probabilities(head, TRAIN))
    assert row["loss"] == pytest.approx(trained, rel=1e-4)


def test_a_weaker_penalty_fits_the_training_photos_more_closely() -> None:
    losses = [row["loss"] for row in fitted()[1].history]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] + 0.01


@pytest.mark.parametrize("name", ["gap", "gap_l2"])
def test_without_a_penalty_to_speak_of_no_weights_are_better(name: str) -> None:
    """The gradient of the run's own loss vanishes, weights of photos and of errors in it."""
    rng = np.random.default_rng(2)
    train = rows(0, weights=rng.uniform(0.2, 3.0, 200))
    loss = WeightedBinaryCrossentropy()
    head, _ = fitted(name, train=train, loss=loss, penalties=[1e-6])
    x = np.column_stack([embeddings_of(name, train.embeddings), np.ones(200)])
    weights = train.weights * np.where(train.labels == 1, 1.0, 3.0)
    pull = weights / weights.sum() * (probabilities(head, train) - train.labels)
    np.testing.assert_allclose(pull @ x, 0, atol=2e-5)


def test_validation_is_weighted_as_its_photos_are() -> None:
    """Only one photo counts: the penalty that is surest of it is taken."""
    weights = np.zeros(len(VAL.labels))
    weights[3] = 1
    head, result = fitted(val=VAL._replace(weights=weights))
    off = np.abs(VAL.labels - probabilities(head, VAL))[3]
    assert result.val_loss == pytest.approx(-np.log1p(-off), rel=1e-3)
    assert result.best_row != fitted()[1].best_row


def test_sources_left_out_choose_rather_than_validation() -> None:
    losses = [0.5, 0.4, 0.3, 0.4, 0.5, 0.6]
    head, result = fitted(unseen_losses=losses)
    assert [row["unseen_loss"] for row in result.history] == losses
    assert result.best_row == 3 != fitted()[1].best_row
    assert result.val_loss == result.history[2]["val_loss"]
    alone, _ = fitted(penalties=PENALTIES[:3], unseen_losses=losses[:3])
    np.testing.assert_array_equal(head.get_weights()[0], alone.get_weights()[0])
    np.testing.assert_allclose(probabilities(head, VAL), result.val_probabilities, atol=1e-5)


def test_a_start_that_nothing_is_better_than_stays() -> None:
    head, _ = fitted()
    before = head.get_weights()
    wrong = TRAIN._replace(labels=1 - TRAIN.labels)
    _, result = fitted(head=head, train=wrong, from_start=True)
    assert len(result.history) == len(PENALTIES)
    assert result.best_row == 0
    np.testing.assert_allclose(result.val_probabilities, probabilities(head, VAL), atol=1e-5)
    for found, expected in zip(head.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_start_is_gone_on_from() -> None:
    """More photos: the stronger the penalty, the less is changed."""
    head, _ = fitted()
    before, moved = head.get_weights()[0], []
    for penalty in (10.0, 0.1):
        again = build_head("gap", (1, 1, CHANNELS))
        again.set_weights(head.get_weights())
        fitted(head=again, train=rows(3), val=rows(4), penalties=[penalty], from_start=True)
        moved.append(np.abs(again.get_weights()[0] - before).sum())
    assert 0 < moved[0] < 0.2 * moved[1]


def test_what_had_no_say_is_none() -> None:
    result = FitResult(best_row=2, history=[{"penalty": 1.0}, {"penalty": 0.3}])
    settings = FitSettings(fine_tune_epochs=2).as_dict()
    told = settings | chosen_for_linear(result, FitSettings(fine_tune_epochs=2))
    assert (told["penalty"], told["epochs"], told["dropout"]) == (0.3, None, 0.5)
    told = chosen_for_linear(FitResult(history=result.history), FitSettings(fine_tune_epochs=0))
    assert set(told) < set(settings)
    assert set(told.values()) == {None}
    assert {"penalty", "dropout", "batch_size", "learning_rate"} < set(told)


def test_what_is_not_a_number_is_refused() -> None:
    pooled = TRAIN.embeddings.copy()
    pooled[5] = np.nan
    with pytest.raises(TrainingDataError, match="The features for gap are not all numbers"):
        embeddings_of("gap", pooled)
