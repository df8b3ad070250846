from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from plantood.training.adapt.correction.fit import fit_logistic
from plantood.training.common.settings import PENALTY
from plantood.training.fitting.probe import Probe, fit_path, fit_probe


def problem(seed: int = 0, rows: int = 400, channels: int = 24) -> tuple[np.ndarray, ...]:
    """Embeddings of unequal scale and offset, noisy labels, unequal weights."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (rows, channels)) @ rng.normal(0, 0.4, (channels, channels))
    truth = x @ rng.normal(0, 1, channels)
    plant = truth + rng.normal(0, truth.std(), rows) > 0.3
    x = x * np.exp(rng.normal(0, 1, channels)) + rng.normal(0, 2, channels)
    return x.astype(np.float32), plant, rng.uniform(0.1, 3.0, rows)


@pytest.mark.parametrize("penalty", [1.0, PENALTY, 0.01])
@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_minimum_of_the_loss_that_it_states(penalty: float, seed: int) -> None:
    x, plant, weights = problem(seed)
    share, sign = weights / weights.sum(), np.where(plant, 1.0, -1.0)
    mean = share @ x
    scale = np.sqrt(share @ (x - mean) ** 2)
    standardised = (x - mean) / scale

    def loss(solution: np.ndarray) -> float:
        margin = sign * (standardised @ solution[:-1] + solution[-1])
        return share @ np.logaddexp(0, -margin) + penalty / 2 * solution[:-1] @ solution[:-1]

    def gradient(solution: np.ndarray) -> np.ndarray:
        margin = sign * (standardised @ solution[:-1] + solution[-1])
        pull = -share * sign / (1 + np.exp(margin))
        return np.append(pull @ standardised + penalty * solution[:-1], pull.sum())

    probe = fit_probe(x, plant, weights, penalty)
    found = np.append(probe.kernel * scale, probe.bias + mean @ probe.kernel)
    np.testing.assert_allclose(gradient(found), 0, atol=2e-5)
    expected = minimize(loss, np.zeros(x.shape[1] + 1), jac=gradient, tol=1e-9).x
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-probe.logits(x))),
        1 / (1 + np.exp(-(standardised @ expected[:-1] + expected[-1]))),
        atol=1e-3,
    )


def test_only_the_ratios_of_the_weights_matter() -> None:
    x, plant, weights = problem(1)
    one, two = fit_probe(x, plant, weights), fit_probe(x, plant, 1000 * weights)
    np.testing.assert_allclose(one.logits(x), two.logits(x), atol=1e-4)


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
    weighted = fit_probe(x, plant, times.astype(float))
    repeated = fit_probe(x.repeat(times, 0), plant.repeat(times), np.ones(times.sum()))
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


def test_a_path_is_one_fit_after_the_other() -> None:
    x, plant, weights = problem(5)
    penalties = (1.0, 0.1, 0.01)
    path = list(fit_path(x, plant, weights, penalties))
    assert len(path) == 3
    for probe, penalty in zip(path, penalties, strict=True):
        alone = fit_probe(x, plant, weights, penalty)
        np.testing.assert_allclose(probe.logits(x), alone.logits(x), atol=1e-3)


@pytest.mark.parametrize("penalty", [1.0, 0.03])
def test_it_is_held_where_it_starts(penalty: float) -> None:
    """As the solver of corrections finds it, which is another one."""
    x, plant, weights = problem(6)
    start = Probe(np.linspace(-0.5, 0.5, x.shape[1]).astype(np.float32), 0.7)
    (found,) = fit_path(x, plant, weights, [penalty], start)
    share = weights / weights.sum()
    mean = share @ x
    scale = np.sqrt(share @ (x - mean) ** 2)
    standardised = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    first = np.append(start.kernel * scale, start.bias + mean @ start.kernel)
    expected = fit_logistic(
        standardised, plant.astype(float), share, np.full(len(first), penalty), first
    )
    np.testing.assert_allclose(found.logits(x), standardised @ expected, atol=1e-3)


def test_a_strong_penalty_changes_nothing() -> None:
    x, plant, weights = problem(7)
    start = Probe(np.linspace(-0.5, 0.5, x.shape[1]).astype(np.float32), 0.7)
    (found,) = fit_path(x, plant, weights, [1e30], start)
    np.testing.assert_array_equal(found.kernel, start.kernel)
    assert found.bias == pytest.approx(start.bias, abs=1e-9)
