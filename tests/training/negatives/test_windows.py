from __future__ import annotations

import numpy as np
import pytest

from plantood.training.negatives.windows import Square, empty_squares, largest_empty_square


def side_by_dynamic_programming(occupied: np.ndarray) -> int:
    """The textbook way: a square ends one larger than its three neighbours do."""
    ends = np.zeros((occupied.shape[0] + 1, occupied.shape[1] + 1), int)
    for y, x in np.ndindex(*occupied.shape):
        if not occupied[y, x]:
            ends[y + 1, x + 1] = 1 + min(ends[y, x], ends[y, x + 1], ends[y + 1, x])
    return int(ends.max())


@pytest.mark.parametrize("seed", range(12))
def test_largest_is_the_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    occupied = rng.random(rng.integers(5, 40, 2)) < rng.choice([0.01, 0.05, 0.3])
    found = largest_empty_square(occupied, 1)
    assert found is not None
    assert found.side == side_by_dynamic_programming(occupied)
    assert not occupied[found.place].any()
    assert occupied[found.place].shape == (found.side, found.side)


def test_of_equal_squares_the_uppermost_then_leftmost() -> None:
    occupied = np.ones((20, 30), bool)
    for top, left in ((12, 3), (2, 20), (2, 5)):
        occupied[top : top + 4, left : left + 4] = False
    assert largest_empty_square(occupied, 2) == Square(5, 2, 4)


@pytest.mark.parametrize(("least", "expected"), [(7, Square(0, 0, 7)), (8, None)])
def test_an_empty_picture_is_limited_by_its_shorter_side(
    least: int, expected: Square | None
) -> None:
    assert largest_empty_square(np.zeros((7, 11), bool), least) == expected


def test_a_full_picture_has_none() -> None:
    assert largest_empty_square(np.ones((9, 9), bool), 1) is None
    assert list(empty_squares(np.ones((9, 9), bool), 1)) == []


@pytest.mark.parametrize("distance", [0, 1, 3])
def test_squares_keep_their_distance_and_grow_smaller(distance: int) -> None:
    rng = np.random.default_rng(5)
    occupied = rng.random((90, 120)) < 0.004
    squares = list(empty_squares(occupied, 8, distance=distance))
    assert len(squares) > 5
    assert [s.side for s in squares] == sorted((s.side for s in squares), reverse=True)
    taken = occupied.copy()
    for square in squares:
        assert square.side >= 8
        assert 0 <= square.left <= 120 - square.side
        assert 0 <= square.top <= 90 - square.side
        near = taken[
            max(0, square.top - distance) : square.top + square.side + distance,
            max(0, square.left - distance) : square.left + square.side + distance,
        ]
        assert not near.any()
        taken[square.place] = True


def test_the_border_needs_no_distance() -> None:
    assert list(empty_squares(np.zeros((20, 20), bool), 10, distance=4)) == [Square(0, 0, 20)]
