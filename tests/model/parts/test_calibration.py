from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from plantood.model.parts.calibration import EPSILON, Calibration


def test_a_straight_line_in_the_logit() -> None:
    p = np.linspace(0.001, 0.999, 50)
    corrected = Calibration(0.5, -1.2).apply(p)
    np.testing.assert_allclose(corrected, expit(0.5 * logit(p) - 1.2), rtol=1e-6)
    assert corrected.dtype == np.float32


def test_without_slope_and_intercept_nothing_changes() -> None:
    p = np.array([0.0, 1e-6, 0.3, 0.75, 1.0], np.float32)
    np.testing.assert_allclose(Calibration().apply(p), p, atol=2 * EPSILON)


def test_a_saturated_sigmoid_stays_finite() -> None:
    ends = Calibration(0.5).apply(np.array([0, 1], np.float32))
    np.testing.assert_allclose(ends, expit(0.5 * np.array([-1, 1]) * 16.118), rtol=1e-3)
    assert np.all(Calibration(1e6, 1e3).apply([0.0, 0.5, 1.0]) == [0, 1, 1])


def test_the_order_stays() -> None:
    p = np.sort(np.random.default_rng(0).random(1000).astype(np.float32))
    for calibration in (Calibration(0.1, 3), Calibration(4, -7)):
        assert np.all(np.diff(calibration.apply(p)) >= 0)


def test_a_margin_adds_to_the_logit() -> None:
    p, margin = np.array([0.2, 0.7, 0.7]), np.array([0.1, -0.2, 0.0])
    calibration = Calibration(0.5, -1.2, margin=3.0)
    expected = expit(0.5 * logit(p) + 3.0 * margin - 1.2)
    np.testing.assert_allclose(calibration.apply(p, margin), expected, rtol=1e-6)
    np.testing.assert_allclose(expit(calibration.logits(p, margin)), expected, rtol=1e-9)


def test_what_is_no_number_stays_none() -> None:
    assert np.isnan(Calibration(0.5).apply([math.nan])[0])


@pytest.mark.parametrize("line", [(0, 0), (-1, 0), (math.inf, 0), (math.nan, 0), (1, math.inf)])
def test_a_line_that_makes_no_sense(line: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="slope"):
        Calibration(*line)


@pytest.mark.parametrize("margin", [-0.1, math.inf, math.nan])
def test_a_margin_that_makes_no_sense(margin: float) -> None:
    with pytest.raises(ValueError, match="margin not negative"):
        Calibration(margin=margin)
