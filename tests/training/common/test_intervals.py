from __future__ import annotations

import pytest

from plantood.training.common.intervals import share, wilson


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


def test_nothing_is_known_of_no_photos() -> None:
    assert wilson(0, 0) == (0, 1)
    assert share(0, 0) == "-"


def test_in_words() -> None:
    assert share(15, 148) == "10.1% (6.2 to 16.0)"
