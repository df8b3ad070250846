from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from training.starter.bank import CACHED, unit
from training.starter.finetune import blend, finetune, probe_head, top_of
from training.starter.probe import Probe, fit_probe

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Problem:
    """A backbone's top and cached maps that a probe on it does not separate, but its top can."""

    backbone: keras.Model
    top: keras.Model
    maps: NDArray[np.float16]
    plant: NDArray[np.bool_]
    weights: NDArray[np.float64]
    probe: Probe

    def loss(self) -> float:
        """Weighted cross-entropy of the top under the probe."""
        pooled = np.asarray(self.top(self.maps.astype(np.float32))).mean(axis=(1, 2))
        margin = np.where(self.plant, 1, -1) * self.probe.logits(unit(pooled))
        return float(self.weights @ np.logaddexp(0, -margin))


@pytest.fixture
def problem(backbone: keras.Model) -> Problem:
    rng = np.random.default_rng(0)
    plant = np.arange(160) % 2 == 0
    # Plants differ by the product of two channels: no line through the maps' means separates them.
    sign = rng.choice([-1.0, 1.0], 160)
    maps = rng.normal(0, 0.2, (160, 7, 7, 6))
    maps[..., 0] += sign[:, None, None]
    maps[..., 1] += (sign * np.where(plant, 1, -1))[:, None, None]
    maps = maps.astype(np.float16)
    weights = np.full(160, 1 / 160)
    top = top_of(backbone)
    pooled = np.asarray(top(maps.astype(np.float32))).mean(axis=(1, 2))
    return Problem(backbone, top, maps, plant, weights, fit_probe(unit(pooled), plant, weights))


def tune(problem: Problem, **options: float) -> None:
    settings = {"steps": 40, "rate": 2e-2} | options
    finetune(problem.top, problem.probe, problem.maps, problem.plant, problem.weights, **settings)


def test_the_top_and_the_cached_layer_are_the_backbone(backbone: keras.Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    below = keras.Model(backbone.input, backbone.get_layer(CACHED).output)
    top = top_of(backbone)
    np.testing.assert_allclose(top(below(pixels)), backbone(pixels), atol=1e-5)
    assert any(variable is backbone.get_layer("top_conv").kernel for variable in top.weights)


def test_the_head_says_what_the_probe_says(problem: Problem) -> None:
    features = np.asarray(problem.top(problem.maps[:5].astype(np.float32)))
    head = probe_head(problem.probe, features.shape[1:])
    logits = problem.probe.logits(unit(features.mean(axis=(1, 2))))
    np.testing.assert_allclose(
        np.asarray(head(features))[:, 0], 1 / (1 + np.exp(-logits)), atol=1e-5
    )


def test_the_loss_falls(problem: Problem) -> None:
    before = problem.loss()
    tune(problem, share=1.0)
    assert problem.loss() < 0.8 * before


def test_nothing_but_the_top_changes(problem: Problem) -> None:
    backbone, probe = problem.backbone, problem.probe
    layer = backbone.get_layer("top_bn")
    norm = [w.copy() for w in layer.get_weights()]
    below = [w.copy() for w in backbone.get_layer(CACHED).get_weights()]
    conv = backbone.get_layer("top_conv").get_weights()[0].copy()
    kernel, bias = probe.kernel.copy(), probe.bias
    tune(problem)
    for was, now in zip(norm, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)  # statistics, and scale and offset too
    for was, now in zip(below, backbone.get_layer(CACHED).get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)
    np.testing.assert_array_equal(probe.kernel, kernel)
    assert probe.bias == bias
    assert not np.allclose(backbone.get_layer("top_conv").get_weights()[0], conv)


def test_a_share_of_zero_gives_the_pretrained_weights_back(problem: Problem) -> None:
    before = problem.top.get_weights()
    tune(problem, steps=12, share=0.0)
    for was, now in zip(before, problem.top.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)


def test_a_share_lies_on_the_line_between_both_ends(problem: Problem) -> None:
    before = problem.top.get_weights()
    tune(problem, steps=12, share=1.0)
    after = problem.top.get_weights()
    problem.top.set_weights(before)
    tune(problem, steps=12, share=0.25)
    for b, a, now in zip(before, after, problem.top.get_weights(), strict=True):
        np.testing.assert_allclose(now, 0.75 * b + 0.25 * a, atol=1e-5)


def test_the_head_does_not_learn(problem: Problem) -> None:
    """Under a head that ignores its input no gradient reaches the top, unless the head moves."""
    before = problem.top.get_weights()
    problem.probe = Probe(np.zeros_like(problem.probe.kernel), 0.0)
    tune(problem, steps=12, share=1.0)
    for was, now in zip(before, problem.top.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)


def test_samples_of_weight_zero_are_never_seen(problem: Problem) -> None:
    before = problem.top.get_weights()
    problem.weights[100:] = 0
    tune(problem, steps=12)
    expected = problem.top.get_weights()
    problem.top.set_weights(before)
    problem.maps[100:] = 60.0
    problem.plant[100:] = ~problem.plant[100:]
    tune(problem, steps=12)
    for was, now in zip(expected, problem.top.get_weights(), strict=True):
        np.testing.assert_allclose(now, was, atol=1e-5)


def test_blend_by_hand() -> None:
    (blended,) = blend([np.float32([0, 4])], [np.float32([8, 0])], 0.25)
    assert blended.tolist() == [2.0, 3.0]
    assert blended.dtype == np.float32
