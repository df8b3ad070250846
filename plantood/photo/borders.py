"""Where in a file the photo itself is: without frames, bars, and captions at its edges.

A white frame is bright and its edge is crisp, and so are the letters of a date; measured with the
photo inside, they speak for a photo that is neither. What was found is cut off before the cues are
measured (:mod:`plantood.photo.quality`). Most photos have nothing of the kind, and lose nothing.

The rules are our own, and so are their constants: chosen on drawn borders and captions around real
photos, of half of the sources; ``docs/quality.md`` says which, and what the rules do on the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BORDER_SIDE = 256
"""Longest side, in pixels, at which borders are looked for: letters of a date can be told apart."""

_LAYERS = 3
"""How often all sides are looked at: a frame around a bar around a date has three."""

_LEAST, _FEWEST = 0.3, 16
"""Share of the height or width, and rows or columns, that must be left for a cut to be made."""

_FLAT = 8.0
"""Grey levels from the ground of a border within which a pixel belongs to it: traces of JPEG."""
_GROUND = 0.97
"""Share of a row's pixels that belong to the ground where nothing is printed on it."""
_PRINTED = 0.45
"""The same where a line of text is, at least."""
_EDGE = 0.5
"""Share of the photo's first row that differs from the ground's last: a frame ends everywhere at
once, a white table before a leaf does not, and a sky never."""
_EDGE_ROWS = 2
"""Within how many rows. A leaf cut out along its edge, though nearly straight, takes more."""
_MIXED = 2
"""Rows beyond that edge that hold some of both."""

_STROKE = 25.0
"""Grey levels between neighbours where the stroke of a letter begins or ends."""
_STROKES = 10
"""Changes between darker and brighter in one row that make it a row of letters."""
_LOWEST, _TALLEST = 3, 24
"""Rows; letters that reach over less in one piece are none, but the margin of a leaf, and those
that reach over more are grass or gravel."""
_EDGE_BAND = 0.4
"""Share of the height, from above and from below, where captions stand."""
_AROUND = 8
"""Rows cut off beyond the letters: the edge of the panel that they stand on."""
_CLOSE = 3
"""Rows beyond the letters, from which on ..."""
_FAINT_STROKE, _FAINT_STROKES, _FAINT_ROWS = 20.0, 4, 2
"""... the rest of a blurred or a dark photo has no more rows than that with more such changes than
that. If it has, it can speak for itself, and is left as it is: a sharp leaf fades out, letters
end."""

_SEEN_FROM = (lambda x: x.T, lambda x: x, lambda x: x.T[::-1], lambda x: x[::-1])
"""The picture with its left, upper, right and lower side on top."""


def picture_box(luma: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """The part of a file that is the photo itself.

    Args:
        luma: float32 ``[h, w]``, 0 to 255, with a longest side of ``BORDER_SIDE``.

    Returns:
        Left, upper, right and lower end as Pillow counts them; all of it where there is no border.
    """
    height, width = luma.shape
    cut = [0, 0, 0, 0]

    def rest() -> NDArray[np.float32]:
        return luma[cut[1] : height - cut[3], cut[0] : width - cut[2]]

    for _ in range(_LAYERS):
        before = list(cut)
        for side in (1, 3, 0, 2):
            cut[side] += border(_SEEN_FROM[side](rest()))
        for first in (1, 0):
            above, below = captions(_SEEN_FROM[first](rest()))
            cut[first] += above
            cut[first + 2] += below
        if cut == before:
            break
    return cut[0], cut[1], width - cut[2], height - cut[3]


def border(luma: NDArray[np.float32]) -> int:
    """How many rows at the top are a frame or a bar, with or without text on it.

    Their ground is of one brightness, that of the first row, and ends along a straight edge.

    Args:
        luma: float32 ``[h, w]``, 0 to 255; h and w at least 1.

    Returns:
        Below h, so that a photo is left; 0 where there is none.
    """
    away = abs(luma[0] - (level := np.median(luma[0]))) > _FLAT
    if away.mean() > 1 - _GROUND:
        return 0  # most photos
    away = abs(luma - level) > _FLAT
    beside = away.mean(axis=0) <= 1 - _GROUND  # the frame to the left and to the right
    if beside.mean() > 1 - _LEAST:
        return 0
    luma, share = luma[:, ~beside], away[:, ~beside].mean(axis=1)
    photo = int(np.argmax(share > 1 - _PRINTED))  # its first row, or 0
    begin = 1 + int(np.flatnonzero(share[: photo + 1] <= 1 - _GROUND).max(initial=-1))
    jump = abs(luma[begin : begin + _EDGE_ROWS] - luma[begin - 1]) > _FLAT
    ahead = jump.mean(axis=1) >= _EDGE
    if not begin or not ahead.any():
        return 0
    cut = begin + int(ahead.argmax()) + _MIXED
    return cut if _enough(len(luma) - cut, len(luma)) else 0


def captions(luma: NDArray[np.float32]) -> tuple[int, int]:
    """How many rows at the top and at the bottom hold a caption, and no photo worth measuring.

    A row through a line of text changes between dark and bright a dozen times or more. So does one
    through grass, but then its neighbours do, too, over more rows than a letter is tall, and so
    does the rest of the photo.

    Args:
        luma: float32 ``[h, w]``, 0 to 255.

    Returns:
        Together below h, so that a photo is left; 0 and 0 where there is none.
    """
    height = len(luma)
    letters = strokes(luma, _STROKE) >= _STROKES
    if not _LOWEST <= _longest_run(letters) <= _TALLEST:
        return 0, 0
    band = int(_EDGE_BAND * height)
    above, below = np.flatnonzero(letters[:band]), np.flatnonzero(letters[::-1][:band])
    top = int(above[-1]) + 1 if len(above) else 0
    bottom = int(below[-1]) + 1 if len(below) else 0
    rest = luma[top + _CLOSE * (top > 0) : height - bottom - _CLOSE * (bottom > 0)]
    if (strokes(rest, _FAINT_STROKE) > _FAINT_STROKES).sum() > _FAINT_ROWS:
        return 0, 0
    top, bottom = top + _AROUND * (top > 0), bottom + _AROUND * (bottom > 0)
    return (top, bottom) if _enough(height - top - bottom, height) else (0, 0)


def strokes(luma: NDArray[np.float32], step: float) -> NDArray[np.intp]:
    """How often each row changes direction: from a step up to a step down, or the other way.

    Args:
        luma: float32 ``[h, w]``.
        step: Grey levels between neighbours; less is no step.

    Returns:
        int ``[h]``.
    """
    steps = luma[:, 1:] - luma[:, :-1]
    rows, columns = np.nonzero(abs(steps) > step)
    up = steps[rows, columns] > 0
    turns = (up[1:] != up[:-1]) & (rows[1:] == rows[:-1])
    return np.bincount(rows[1:][turns], minlength=len(luma))


def _enough(left: int, of: int) -> bool:
    return left >= max(_LEAST * of, _FEWEST)


def _longest_run(flags: NDArray[np.bool_]) -> int:
    """Length of the longest piece that is True throughout."""
    ends = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return int((ends[1::2] - ends[::2]).max(initial=0))
