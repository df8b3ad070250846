from __future__ import annotations

import keras
import numpy as np
import pytest

from plantood.training.network.heads import DEFAULT_DROPOUT, HEADS, build_head

RESNET50_MAP = (7, 7, 2048)
RESNET50_PARAMETERS = 23_587_712
#: Total parameters with ResNet50, from the source project's model summaries (GAP: by hand,
#: 2,048 weights and one bias).
TOTALS = {"v1": 38_641_413, "v2": 49_321_089, "v3": 24_211_873, "gap": 23_589_761}
TOTALS["gap_l2"] = TOTALS["gap"]  # normalising has no parameters


def test_every_head_has_a_known_total() -> None:
    assert set(TOTALS) == set(HEADS)


@pytest.mark.parametrize("name", HEADS)
def test_parameter_totals(name: str) -> None:
    head = build_head(name, RESNET50_MAP)
    assert RESNET50_PARAMETERS + head.count_params() == TOTALS[name]


def test_layers_in_order() -> None:
    kinds = {
        name: [type(layer).__name__ for layer in build_head(name, RESNET50_MAP).layers[1:]]
        for name in HEADS
    }
    dense = ["Dense", "Dropout", "BatchNormalization"]
    assert kinds == {
        "v1": ["Flatten", *dense, "Dense"],
        "v2": ["Flatten", *dense, *dense, *dense, "Dense"],
        "v3": ["Conv2D", "MaxPooling2D", "Flatten", *dense, "Dense"],
        "gap": ["GlobalAveragePooling2D", "Dropout", "Dense"],
        "gap_l2": ["GlobalAveragePooling2D", "UnitNormalization", "Dropout", "Dense"],
    }


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_one_probability_per_photo(name: str) -> None:
    maps = np.random.default_rng(0).normal(size=(3, 7, 7, 16)).astype(np.float32)
    probability = np.asarray(build_head(name, maps.shape[1:])(maps))
    assert probability.shape == (3, 1)
    assert np.all((probability > 0) & (probability < 1))


@pytest.mark.parametrize("name", HEADS)
def test_dropout_is_settable(name: str) -> None:
    def rates(**options: float) -> set[float]:
        layers = build_head(name, (7, 7, 16), **options).layers
        return {layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)}

    assert rates() == {DEFAULT_DROPOUT}
    assert rates(dropout=0.2) == {0.2}


def test_gap_by_hand() -> None:
    head = build_head("gap", (2, 2, 1))
    head.get_layer("plant_probability").set_weights([np.array([[2.0]]), np.array([-1.0])])
    maps = np.array([[[[0.0], [1.0]], [[2.0], [3.0]]]], np.float32)  # mean 1.5
    assert float(np.asarray(head(maps))[0, 0]) == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)


def test_an_unknown_head_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="v1, v2, v3, gap"):
        build_head("v4", RESNET50_MAP)
