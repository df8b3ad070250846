from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from plantood.errors import WeightsUnavailable
from plantood.model.starter import starter_backbone
from plantood.training.network import efficientnet_lite
from plantood.training.network.backbones import BACKBONES, Preprocessing, build_backbone
from plantood.training.network.classifier import backbone_of

APPLICATIONS = {
    "resnet50": (keras.applications.ResNet50, keras.applications.resnet50),
    "mobilenet": (keras.applications.MobileNet, keras.applications.mobilenet),
}


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", BACKBONES)
def test_each_backbone_takes_uint8_and_survives_a_safe_reload(
    name: str, noise: np.ndarray, tmp_path: Path
) -> None:
    spec = BACKBONES[name]
    backbone = build_backbone(name, "none")
    assert backbone.name == "backbone"
    assert backbone.input.dtype == "uint8"
    assert backbone.output_shape == (None, 7, 7, spec.channels)
    backbone.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    np.testing.assert_allclose(again(noise), backbone(noise), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_graph_preprocesses_as_the_table_says(name: str, noise: np.ndarray) -> None:
    backbone = build_backbone(name, "none")
    folded = keras.Model(backbone.input, backbone.get_layer("preprocessing").output)
    expected = BACKBONES[name].preprocessing.apply(noise)
    np.testing.assert_allclose(folded(noise), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_preprocessing_is_that_of_keras_applications(name: str, noise: np.ndarray) -> None:
    expected = APPLICATIONS[name][1].preprocess_input(noise.astype(np.float32))
    actual = BACKBONES[name].preprocessing.apply(noise)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_efficientnet_lite_scales_as_published() -> None:
    """Lite2 has 6.09 million parameters with a classifier of 1.281, and 21 blocks."""
    lite2 = efficientnet_lite.build(keras.Input((260, 260, 3)), None, width=1.1, depth=1.2)
    assert lite2.output_shape == (None, 9, 9, 1280)
    assert sum(weight.numpy().size for weight in lite2.trainable_weights) == 4_811_072
    assert lite2.get_layer("block0_project_conv").filters == 16
    assert lite2.get_layer("block20_project_conv").filters == 352
    assert not any(layer.name.startswith("block21_") for layer in lite2.layers)


def test_preprocessing_by_hand() -> None:
    pixel = np.array([[10, 20, 30]], np.uint8)
    bgr = Preprocessing("bgr", mean=(1.0, 2.0, 3.0), scale=(1.0, 0.5, 2.0))
    assert bgr.apply(pixel).tolist() == [[29.0, 9.0, 14.0]]


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_of_the_bare_network_load_from_a_file(
    suffix: str, noise: np.ndarray, tmp_path: Path
) -> None:
    build, module = APPLICATIONS["mobilenet"]
    bare = build(include_top=False, weights=None, input_shape=(224, 224, 3))
    path = tmp_path / f"mobilenet{suffix}"
    bare.save_weights(path) if suffix == ".weights.h5" else bare.save(path)
    backbone = build_backbone("mobilenet", path)
    expected = bare(module.preprocess_input(noise.astype(np.float32)))
    np.testing.assert_allclose(backbone(noise), expected, atol=1e-4)


def test_a_backbones_own_weights_load_from_a_file(noise: np.ndarray, tmp_path: Path) -> None:
    first = build_backbone("mobilenet_v3_small", "none")
    first.save_weights(tmp_path / "own.weights.h5")
    second = build_backbone("mobilenet_v3_small", str(tmp_path / "own.weights.h5"))
    np.testing.assert_array_equal(second(noise), first(noise))


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    build_backbone("mobilenet_v3_small", "none").save_weights(path)
    with pytest.raises(WeightsUnavailable, match=r"other\.weights\.h5 .*mobilenet .*--weights"):
        build_backbone("mobilenet", path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"nowhere\.h5; .*--weights starter"):
        build_backbone("mobilenet", tmp_path / "nowhere.h5")


def test_the_starter_backbone_is_on_every_machine(
    starter_model: keras.Model, noise: np.ndarray
) -> None:
    backbone = build_backbone(starter_backbone(), "starter")
    np.testing.assert_array_equal(backbone(noise), backbone_of(starter_model)(noise))


def test_the_starter_has_no_weights_for_another_backbone() -> None:
    with pytest.raises(WeightsUnavailable, match=f"--backbone {starter_backbone()}"):
        build_backbone("resnet50", "starter")


def test_imagenet_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    code = (
        "from plantood.training.network.backbones import build_backbone\n"
        "from plantood.errors import WeightsUnavailable\n"
        "try: build_backbone('resnet50', 'imagenet')\n"
        "except WeightsUnavailable as error: print('CAUGHT', error)"
    )
    nowhere = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("CAUGHT")]
    assert "resnet50" in line
    assert "--weights FILE" in line
    assert "--weights starter" in line


def test_efficientnet_lite0_has_no_download() -> None:
    with pytest.raises(WeightsUnavailable, match="--weights FILE"):
        build_backbone("efficientnet_lite0", "imagenet")


def test_an_unknown_backbone_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="resnet50, efficientnet_lite0"):
        build_backbone("resnet51", "none")


def test_efficientnet_lite0_is_built_as_its_published_layers(shared: Path) -> None:
    backbone = build_backbone(
        "efficientnet_lite0",
        shared / "weights" / "efficientnet_lite0_224_imagenet_notop.weights.h5",
    )
    assert backbone.count_params() == 3_413_024
    published = []
    for line in (shared / "weights" / "efficientnet_lite0_layers.txt").read_text().splitlines():
        name, shape = line.split()[0], line.split("out: ")[-1]
        if name not in ("InputLayer", "ReLU"):
            published.append((name, shape))
    built = [
        (layer.name, str(tuple(layer.output.shape[1:])))
        for layer in backbone.layers
        if not isinstance(layer, keras.layers.InputLayer | keras.layers.ReLU)
    ]
    assert [layer for layer in built if layer[0] != "preprocessing"] == published
