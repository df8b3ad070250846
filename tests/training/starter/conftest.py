from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import keras


@pytest.fixture
def backbone() -> keras.Model:
    """A network of three layers that is built like the recipe's: a cached layer, a top above it."""
    import keras
    from keras import layers

    from training.starter.bank import CACHED

    keras.utils.set_random_seed(0)
    image = keras.Input((224, 224, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 128, -1.0)(image)
    x = layers.AveragePooling2D(32)(x)
    x = layers.Conv2D(6, 1, activation="tanh", name=CACHED)(x)
    x = layers.Conv2D(12, 1, use_bias=False, name="top_conv")(x)
    x = layers.BatchNormalization(name="top_bn")(x)
    model = keras.Model(image, layers.ReLU(max_value=6.0)(x), name="backbone")
    rng = np.random.default_rng(0)
    gamma, beta = rng.uniform(0.5, 1.5, 12), rng.normal(1.0, 0.3, 12)
    mean, variance = rng.normal(0.0, 0.3, 12), rng.uniform(0.5, 1.5, 12)
    model.get_layer("top_bn").set_weights([gamma, beta, mean, variance])
    return model
