from __future__ import annotations

import keras
import numpy as np
import pytest

from plantood.training.common.settings import loss_weights
from plantood.training.fitting.losses import WeightedBinaryCrossentropy, mean_loss

LABELS = np.array([1, 0, 0, 1], np.float32)
PREDICTIONS = np.array([0.9, 0.2, 0.7, 0.3], np.float32)
# By hand: -log 0.9, -log 0.8, -log 0.3, -log 0.3, weighted 1, 3, 3, 1.
BY_HAND = np.array([0.1053605, 3 * 0.2231436, 3 * 1.2039728, 1.2039728])
SHAPES = [(labels, predictions) for labels in ((4,), (4, 1)) for predictions in ((4,), (4, 1))]


@pytest.mark.parametrize(("labels", "predictions"), SHAPES)
def test_weights_belong_to_their_photo_in_every_shape(labels: tuple, predictions: tuple) -> None:
    loss = WeightedBinaryCrossentropy(reduction=None)
    values = np.asarray(loss(LABELS.reshape(labels), PREDICTIONS.reshape(predictions)))
    assert values.shape == (4,)
    np.testing.assert_allclose(values, BY_HAND, rtol=1e-5)


@pytest.mark.parametrize(("labels", "predictions"), SHAPES)
def test_the_mean_is_not_the_broadcast_one(labels: tuple, predictions: tuple) -> None:
    loss = WeightedBinaryCrossentropy()
    value = float(loss(LABELS.reshape(labels), PREDICTIONS.reshape(predictions)))
    assert value == pytest.approx(BY_HAND.mean(), rel=1e-5)
    # What (batch,) * (batch, 1) makes of it: each photo weighted by the mean weight.
    plain = np.array([0.1053605, 0.2231436, 1.2039728, 1.2039728])
    assert value != pytest.approx(plain.mean() * 2, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "accept", "retake"),
    [
        ("bce", 1.0, 1.0),
        ("weighted", 3.0, 1.0),
        ("source_formula", 1.0, 3.0),
    ],
)
def test_losses_by_name(name: str, accept: float, retake: float) -> None:
    assert loss_weights(name) == (accept, retake)
    assert loss_weights(name, (5.0, None)) == (5.0, retake)


def test_plain_weights_are_keras_binary_crossentropy() -> None:
    expected = keras.losses.BinaryCrossentropy()(LABELS[:, None], PREDICTIONS[:, None])
    assert float(WeightedBinaryCrossentropy(1.0, 1.0)(LABELS, PREDICTIONS)) == pytest.approx(
        float(expected)
    )


def test_the_numpy_mean_is_the_same_loss() -> None:
    loss = WeightedBinaryCrossentropy()
    assert mean_loss(loss, LABELS, PREDICTIONS[:, None]) == pytest.approx(BY_HAND.mean(), rel=1e-5)


def test_the_mean_is_of_the_weights_of_the_photos() -> None:
    loss = WeightedBinaryCrossentropy()
    weights = np.arange(1, len(LABELS) + 1)
    expected = mean_loss(loss, np.repeat(LABELS, weights), np.repeat(PREDICTIONS, weights))
    assert mean_loss(loss, LABELS, PREDICTIONS, weights) == pytest.approx(expected)


def test_saturated_predictions_stay_finite() -> None:
    value = float(WeightedBinaryCrossentropy()(np.array([1.0, 0.0]), np.array([0.0, 1.0])))
    assert np.isfinite(value)
    assert value > 10


def test_serialises() -> None:
    loss = WeightedBinaryCrossentropy(4.0, 0.5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(again, WeightedBinaryCrossentropy)
    assert again.get_config() == loss.get_config()


def test_sample_weights_multiply() -> None:
    weights = np.array([1, 0, 2, 0], np.float32)
    value = float(WeightedBinaryCrossentropy()(LABELS, PREDICTIONS[:, None], weights))
    assert value == pytest.approx((BY_HAND * weights).mean(), rel=1e-5)


def test_training_with_it_moves_the_error_to_the_cheaper_side() -> None:
    """With the classes inseparable, the best constant P is r / (a + r): checked after a fit."""
    labels = np.array([0, 1] * 32, np.float32)
    for name, expected in (("weighted", 0.25), ("source_formula", 0.75)):
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(inputs))
        model.compile(keras.optimizers.Adam(0.1), WeightedBinaryCrossentropy(*loss_weights(name)))
        for _ in range(60):
            model.train_on_batch(np.zeros((64, 1)), labels)
        assert model.predict(np.zeros((1, 1)), verbose=0)[0, 0] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("weights", [(0, 1), (1, -1)])
def test_weights_must_be_positive(weights: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        WeightedBinaryCrossentropy(*weights)
