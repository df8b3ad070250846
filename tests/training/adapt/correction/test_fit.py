from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from plantood.training.adapt.correction.fit import fit_logistic


@pytest.fixture
def photos() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    plant = rng.random(200) < 0.4
    x = rng.normal(size=(200, 5)) + plant[:, None] * [1.0, 0.5, 0, 0, -0.5]
    weights = rng.uniform(0.2, 3, 200)
    return x, plant.astype(float), weights / weights.sum()


def test_it_is_scikit_learns_fit(photos: tuple[np.ndarray, ...]) -> None:
    x, plant, weights = photos
    penalty = 0.03
    expected = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-10)
    expected.fit(x, plant, sample_weight=weights)
    with_bias = np.column_stack([x, np.ones(len(x))])
    found = fit_logistic(with_bias, plant, weights, np.array([penalty] * 5 + [0.0]), np.zeros(6))
    np.testing.assert_allclose(found[:5], expected.coef_[0], atol=1e-6)
    np.testing.assert_allclose(found[5], expected.intercept_[0], atol=1e-6)


def test_a_photo_of_twice_the_weight_is_two_photos(photos: tuple[np.ndarray, ...]) -> None:
    x, plant, _ = photos
    twice = np.concatenate([x, x[:20]]), np.concatenate([plant, plant[:20]])
    weights = np.ones(200)
    weights[:20] = 2
    penalty, start = np.full(5, 0.1), np.zeros(5)
    np.testing.assert_allclose(
        fit_logistic(x, plant, weights / 220, penalty, start),
        fit_logistic(*twice, np.full(220, 1 / 220), penalty, start),
        atol=1e-8,
    )


def test_a_strong_penalty_keeps_it_where_it_starts(photos: tuple[np.ndarray, ...]) -> None:
    x, plant, weights = photos
    start = np.array([0.3, -1.0, 2.0, 0.0, 0.5])
    found = fit_logistic(x, plant, weights, np.full(5, 1e6), start)
    np.testing.assert_allclose(found, start, atol=1e-5)


def test_a_target_between_is_a_share_of_photos() -> None:
    x = np.ones((1, 1))
    found = fit_logistic(x, np.array([0.8]), np.ones(1), np.zeros(1), np.zeros(1))
    assert found[0] == pytest.approx(np.log(4), abs=1e-9)  # the log-odds of 0.8


def test_between_the_photos_and_where_it_starts(photos: tuple[np.ndarray, ...]) -> None:
    x, plant, weights = photos
    start, penalty = np.array([0.3, -1.0, 2.0, 0.0, 0.5]), np.array([0.01, 0.1, 1.0, 0.0, 0.3])

    def loss(theta: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-x @ theta))
        misfit = -weights @ np.log(np.where(plant == 1, p, 1 - p))
        return float(misfit + penalty @ (theta - start) ** 2 / 2)

    expected = minimize(loss, start, method="BFGS", options={"gtol": 1e-7}).x
    np.testing.assert_allclose(fit_logistic(x, plant, weights, penalty, start), expected, atol=1e-5)


def test_one_photo_worked_out_by_hand() -> None:
    # One plant at x = 1: the minimum of log(1 + exp(-t)) + t^2 / 2 is where 1 / (1 + exp(t)) = t.
    found = fit_logistic(np.ones((1, 1)), np.ones(1), np.ones(1), np.ones(1), np.zeros(1))
    assert found[0] == pytest.approx(0.40105813754, abs=1e-9)  # by bisection


def test_separable_photos_far_from_where_it_starts() -> None:
    x = np.concatenate([np.linspace(-300, -200, 30), np.linspace(200, 300, 30)])[:, None]
    plant = (x[:, 0] > 0).astype(float)
    found = fit_logistic(x, plant, np.full(60, 1 / 60), np.array([1e-3]), np.array([-5.0]))
    assert np.all((x[:, 0] * found[0] > 0) == (plant == 1))


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not all finite"):
        fit_logistic(np.array([[np.nan]]), np.ones(1), np.ones(1), np.ones(1), np.zeros(1))
