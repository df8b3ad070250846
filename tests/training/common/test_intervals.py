from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from plantood.training.common.intervals import bootstrap, mean, share, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_as_published(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)
    assert wilson(count - hits, count) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (0, 300), (3, 7), (299, 300), (5, 5)])
def test_scipy_finds_the_same(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(0.9, method="wilson")
    assert wilson(hits, count, 0.9) == pytest.approx(tuple(expected), abs=1e-12)


def test_nothing_is_known_of_no_photos() -> None:
    assert wilson(0, 0) == (0, 1)
    assert share(0, 0) == "-"


def test_in_words() -> None:
    assert share(15, 148) == "10.1% (6.2 to 16.0)"


def test_the_interval_of_a_mean_is_that_of_its_sources() -> None:
    assert bootstrap([0.9] * 9) is None
    many = np.random.default_rng(0).random(400)
    wide = 1.96 * many.std() / math.sqrt(400)
    assert bootstrap(many) == pytest.approx((many.mean() - wide, many.mean() + wide), abs=0.003)
    assert mean([0.5, 1.0]) == "75.0%"  # two say nothing of a third
    assert mean([0.5, 1.0, 0.6, 0.9, 0.75]).startswith("75.0% (5")


@pytest.mark.parametrize("count", [5, 8, 9, 20])
def test_few_sources_are_not_too_sure(count: int) -> None:
    """Of figures as skewed as plants kept are; the plain percentile bootstrap: 80 to 91 %."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        interval = bootstrap(rng.beta(4, 0.8, count))
        assert interval is not None
        held += interval[0] <= 4 / 4.8 <= interval[1]
    assert held >= 0.86 * 200
