from __future__ import annotations

import keras
import numpy as np
import pytest

from plantood.model.starter import starter_dir
from plantood.training.network.classifier import load_classifier


@pytest.fixture(scope="session")
def photos(sample_inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Real photos, uint8 [N,224,224,3]."""
    return np.stack(list(sample_inputs.values()))


@pytest.fixture(scope="session")
def starter_model() -> keras.Model:
    """The starter gate's Keras model: a small network with really trained weights."""
    return load_classifier(starter_dir() / "model.keras")
