"""The largest squares of a picture in which nothing stands: geometry only, no photo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Square(NamedTuple):
    """A square window, in pixels from the upper left corner."""

    left: int
    top: int
    side: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns, to index an array ``[H, W, ...]``."""
        return (
            slice(self.top, self.top + self.side),
            slice(self.left, self.left + self.side),
        )


def largest_empty_square(occupied: NDArray[np.bool_], least: int) -> Square | None:
    """The largest square without an occupied pixel; the uppermost, then leftmost of equal ones.

    Every square inside an empty square is empty, so the largest side is found by bisection; one
    summed-area table (Crow 1984, *Summed-area tables for texture mapping*, SIGGRAPH) tells for
    each side which of all squares are empty: O(pixels * log side).

    Args:
        occupied: ``[H, W]``.
        least: smallest side that counts, in pixels, at least 1.

    Returns:
        The square, None if there is none of at least that side.
    """
    table = np.zeros((occupied.shape[0] + 1, occupied.shape[1] + 1), np.int32)
    np.cumsum(np.cumsum(occupied, axis=0, dtype=np.int32), axis=1, out=table[1:, 1:])

    def first_empty(side: int) -> Square | None:
        counts = table[side:, side:] - table[:-side, side:]
        counts -= table[side:, :-side]
        counts += table[:-side, :-side]
        empty = counts == 0
        place = int(np.argmax(empty))
        top, left = divmod(place, empty.shape[1])
        return Square(left, top, side) if empty[top, left] else None

    best = None
    low, high = least, min(occupied.shape)
    while low <= high:
        side = (low + high) // 2
        found = first_empty(side)
        if found is None:
            high = side - 1
        else:
            best, low = found, side + 1
    return best


def empty_squares(
    occupied: NDArray[np.bool_], least: int, *, distance: int = 0
) -> Iterator[Square]:
    """Squares without an occupied pixel that do not overlap, each the largest that is left.

    Args:
        occupied: ``[H, W]``.
        least: smallest side, in pixels.
        distance: pixels that stay between a square and anything occupied, or another square.
    """
    # Kept away from what is occupied, not from the border: beyond it nothing is known to stand.
    around = np.pad(occupied, distance)
    while (found := largest_empty_square(around, least + 2 * distance)) is not None:
        square = Square(found.left, found.top, found.side - 2 * distance)
        yield square
        rows, columns = square.place
        around[distance:, distance:][rows, columns] = True
