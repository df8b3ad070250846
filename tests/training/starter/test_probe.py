from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from plantood.training.starter.probe import PENALTY, Probe, fit_probe


def problem(seed: int = 0, rows: int = 400, channels: int = 24) -> tuple[np.ndarray, ...]:
    """Embeddings of unequal scale and offset, noisy labels, unequal weights."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (rows, channels)) @ rng.normal(0, 0.4, (channels, channels))
    truth = x @ rng.normal(0, 1, channels)
    plant = truth + rng.normal(0, truth.std(), rows) > 0.3
    x = x * np.exp(rng.normal(0, 1, channels)) + rng.normal(0, 2, channels)
    return x.astype(np.float32), plant, rng.uniform(0.1, 3.0, rows)


@pytest.mark.parametrize("penalty", [1.0, PENALTY, 0.01])
def test_agrees_with_scikit_learn(penalty: float) -> None:
    x, plant, weights = problem()
    share = weights / weights.sum()
    mean = share @ x
    scale = np.sqrt(share @ (x - mean) ** 2)
    expected = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000).fit(
        (x - mean) / scale, plant, sample_weight=share
    )
    probe = fit_probe(x, plant, weights, penalty, tolerance=1e-9)
    np.testing.assert_allclose(probe.kernel * scale, expected.coef_[0], atol=2e-3)
    np.testing.assert_allclose(
        probe.logits(x), expected.decision_function((x - mean) / scale), atol=5e-3
    )


def test_the_tolerance_that_is_used_is_near_enough() -> None:
    x, plant, weights = problem(1)
    loose, exact = fit_probe(x, plant, weights), fit_probe(x, plant, weights, tolerance=1e-9)
    np.testing.assert_allclose(loose.logits(x), exact.logits(x), atol=0.03)


def test_rows_of_weight_zero_play_no_part() -> None:
    x, plant, weights = problem(2)
    garbage = np.full((50, x.shape[1]), 1e4, np.float32)
    probe = fit_probe(x, plant, weights)
    other = fit_probe(
        np.concatenate([garbage, x]),
        np.concatenate([np.ones(50, bool), plant]),
        np.concatenate([np.zeros(50), weights]),
    )
    np.testing.assert_allclose(other.kernel, probe.kernel, rtol=1e-5, atol=1e-7)
    assert other.bias == pytest.approx(probe.bias, rel=1e-5)


def test_a_weight_is_as_good_as_repetition() -> None:
    x, plant, _ = problem(3, rows=120)
    times = np.random.default_rng(0).integers(1, 4, len(x))
    weighted = fit_probe(x, plant, times.astype(float), tolerance=1e-9)
    repeated = fit_probe(
        x.repeat(times, 0), plant.repeat(times), np.ones(times.sum()), tolerance=1e-9
    )
    np.testing.assert_allclose(weighted.logits(x), repeated.logits(x), atol=5e-3)


def test_a_channel_that_never_changes_does_no_harm() -> None:
    x, plant, weights = problem(4)
    x[:, 3] = 0.7
    probe = fit_probe(x, plant, weights)
    assert np.all(np.isfinite(probe.kernel))
    assert np.mean((probe.logits(x) > 0) == plant) > 0.7


def test_logits_by_hand() -> None:
    probe = Probe(np.float32([2.0, -1.0]), 0.5)
    assert probe.logits(np.float32([[1, 1], [0, 3]])).tolist() == [1.5, -2.5]
