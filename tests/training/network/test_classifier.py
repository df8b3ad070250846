from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from plantood.training.network.backbones import build_backbone
from plantood.training.network.classifier import (
    backbone_of,
    build_classifier,
    head_of,
    load_classifier,
    set_backbone_trainable,
)
from plantood.training.network.heads import HEADS, build_head
from tests.training.network.test_heads import RESNET50_PARAMETERS, TOTALS


@pytest.fixture
def small() -> keras.Model:
    backbone = build_backbone("mobilenet_v3_small", "none")
    return build_classifier(backbone, build_head("gap", backbone.output_shape[1:], dropout=0.0))


def test_totals_on_the_real_resnet50() -> None:
    backbone = build_backbone("resnet50", "none")
    assert backbone.count_params() == RESNET50_PARAMETERS
    totals = {
        name: build_classifier(backbone, build_head(name, backbone.output_shape[1:])).count_params()
        for name in HEADS
    }
    assert totals == TOTALS


def test_a_classifier_is_its_backbone_and_head(small: keras.Model, photos: np.ndarray) -> None:
    expected = head_of(small)(backbone_of(small)(photos[:2]))
    np.testing.assert_array_equal(small(photos[:2]), expected)


def test_reload_keeps_the_named_parts(
    small: keras.Model, photos: np.ndarray, tmp_path: Path
) -> None:
    small.save(tmp_path / "model.keras")
    again = load_classifier(tmp_path / "model.keras")
    assert backbone_of(again).count_params() == backbone_of(small).count_params()
    np.testing.assert_allclose(again(photos[:2]), small(photos[:2]), atol=1e-6)


def test_loading_runs_no_code_of_the_file(tmp_path: Path) -> None:
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match=r"(?i)lambda"):
        load_classifier(tmp_path / "lambda.keras")


def _step(model: keras.Model, photos: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Train one step; return the weights of the backbone before and after, by kind."""
    backbone = backbone_of(model)
    before = [w.numpy().copy() for w in backbone.weights]
    model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    model.fit(photos[:4], np.array([0, 1, 0, 1]), epochs=1, batch_size=4, verbose=0)
    normal = {
        id(weight)
        for layer in backbone.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights
    }
    changes: dict[str, list[np.ndarray]] = {"normalization": [], "kernels": []}
    for weight, old in zip(backbone.weights, before, strict=True):
        kind = "normalization" if id(weight) in normal else "kernels"
        changes[kind].append(np.abs(weight.numpy() - old).max())
    return changes


def test_a_frozen_backbone_does_not_change(small: keras.Model, photos: np.ndarray) -> None:
    set_backbone_trainable(small, False)
    changes = _step(small, photos)
    assert max(changes["kernels"]) == 0
    assert max(changes["normalization"]) == 0


def test_an_unfrozen_backbone_learns_but_its_normalization_stays(
    small: keras.Model, photos: np.ndarray
) -> None:
    set_backbone_trainable(small, False)
    set_backbone_trainable(small, True)
    changes = _step(small, photos)
    assert max(changes["kernels"]) > 0
    assert max(changes["normalization"]) == 0
