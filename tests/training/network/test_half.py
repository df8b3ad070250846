from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from plantood.model.runtime import Scorer
from plantood.training.network.classifier import load_classifier
from plantood.training.network.half import fits_half, halve_keras, halve_onnx


def _datasets(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with zipfile.ZipFile(path) as archive, h5py.File(archive.open("model.weights.h5")) as file:
        file.visititems(
            lambda name, node: (
                found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None
            )
        )
    return found


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A small model with a BatchNorm whose variance float16 could not hold."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(64, 3)(image)
    normal = keras.layers.BatchNormalization()
    x = normal(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(32)(x))
    normal.moving_variance.assign(np.full(64, 1e6, np.float32))
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_kernels_are_halved_and_vectors_are_not(trained: Path) -> None:
    before = _datasets(trained)
    halve_keras(trained)
    after = _datasets(trained)
    assert after.keys() == before.keys()
    for name, array in before.items():
        assert after[name].dtype == (np.float16 if array.ndim >= 2 else array.dtype), name
        np.testing.assert_allclose(after[name], array, rtol=1e-3, atol=1e-6)


def test_a_halved_model_loads_in_float32_and_agrees(trained: Path, tmp_path: Path) -> None:
    original = load_classifier(shutil.copy(trained, tmp_path / "original.keras"))
    size = trained.stat().st_size
    halve_keras(trained)
    halved = load_classifier(trained)
    assert {weight.dtype for weight in halved.weights} == {"float32"}
    assert trained.stat().st_size < 0.65 * size
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(halved(x), original(x), atol=1e-3)


def test_the_same_weights_give_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(trained, tmp_path / "other.keras"))
    halve_keras(trained)
    halve_keras(other)
    assert trained.read_bytes() == other.read_bytes()


def test_what_would_overflow_stays_as_it_is() -> None:
    assert fits_half(np.full((2, 2), 65504, np.float32))
    assert not fits_half(np.full((2, 2), 65536, np.float32))
    assert not fits_half(np.ones(4, np.float32))
    assert not fits_half(np.ones((2, 2), np.int32))


def test_an_onnx_graph_keeps_its_kernels_in_half(tmp_path: Path) -> None:
    """A graph as the scorer takes it, small enough to be worked out by hand."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 1)).astype(np.float32)
    head = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["feature_map"], ["embedding"], axes=[1, 2], keepdims=0),
            helper.make_node("MatMul", ["embedding", "kernel"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["column"]),
            helper.make_node("Squeeze", ["column", "axes"], ["plant_probability"]),
        ],
        "head",
        [helper.make_tensor_value_info("feature_map", 1, ["batch", 2, 2, 4])],
        [
            helper.make_tensor_value_info("plant_probability", 1, ["batch"]),
            helper.make_tensor_value_info("embedding", 1, ["batch", 4]),
        ],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
        ],
    )
    backbone = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["float"], to=1),
            helper.make_node("MatMul", ["float", "colours"], ["feature_map"]),
        ],
        "backbone",
        [helper.make_tensor_value_info("image", 2, ["batch", 2, 2, 3])],
        [helper.make_tensor_value_info("feature_map", 1, ["batch", 2, 2, 4])],
        [numpy_helper.from_array(rng.normal(size=(3, 4)).astype(np.float32) / 255, "colours")],
    )
    for graph in (backbone, head):
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        onnx.save(model, tmp_path / f"{graph.name}.onnx")
    batch = rng.integers(0, 256, (3, 2, 2, 3), dtype=np.uint8)
    paths = tmp_path / "backbone.onnx", tmp_path / "head.onnx"
    expected = Scorer(*paths, threads=1).score(batch)
    for path in paths:
        halve_onnx(path)
    stored = {i.name: i for path in paths for i in onnx.load(path).graph.initializer}
    assert numpy_helper.to_array(stored["kernel_float16"]).dtype == np.float16
    assert numpy_helper.to_array(stored["colours_float16"]).dtype == np.float16
    assert "kernel" not in stored
    actual = Scorer(*paths, threads=1).score(batch)
    np.testing.assert_allclose(actual.plant_probability, expected.plant_probability, atol=1e-3)
    np.testing.assert_allclose(actual.embedding, expected.embedding, atol=2e-3)
