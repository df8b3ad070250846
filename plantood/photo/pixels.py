"""Pixels of any kind to upright RGB, reduced: arithmetic, with a bounded copy at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plantood.errors import UnreadablePhoto

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_FROM_THE_END = frozenset({3, 4, 6, 7})
"""Orientations that bring the first row to the other end."""
_BAND = 1 << 20
"""Pixels that are converted and reduced at a time."""


def ensure_array(array: NDArray[Any]) -> None:
    """Refuse an array that is no picture.

    Raises:
        TypeError: Its numbers are not uint8.
        ValueError: Its shape is none of those that :func:`from_array` takes.
    """
    if array.dtype != np.uint8:
        raise TypeError(f"a photo as an array must be uint8 (0 to 255), not {array.dtype}")
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (1, 3, 4)):
        raise ValueError(f"a photo as an array has shape [H, W], or [H, W, 1|3|4]: {array.shape}")


def from_array(array: NDArray[np.uint8]) -> Image.Image:
    """uint8 ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` (RGB) or ``[H, W, 4]`` (RGBA) as a picture.

    Raises:
        UnreadablePhoto: It has no pixels.
    """
    if not array.size:
        raise UnreadablePhoto("the array has no pixels")
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array)


def rows_of(image: Image.Image) -> Callable[[int, int], Image.Image]:
    """Cuts some rows out of a picture, with 8 bits where it has more."""
    to_grey = _to_grey(image) if image.mode == "F" or image.mode.startswith("I") else None

    def rows(top: int, bottom: int) -> Image.Image:
        part = image.crop((0, top, image.width, bottom))
        return to_grey(part) if to_grey else part

    return rows


def to_rgb(
    size: tuple[int, int],
    rows: Callable[[int, int], Image.Image],
    factor: int,
    orientation: int = 1,
) -> Image.Image:
    """Any Pillow mode to RGB, alpha over white, reduced by an integer factor (box filter), upright.

    It is done with some rows at a time, so that only few are in memory twice.

    Args:
        size: Of the picture.
        rows: Gives those from one to before another, as of :func:`rows_of`.
        factor: 0 to leave the size as it is.
        orientation: As Exif gives it, 1 to 8; any other changes nothing.
    """
    factor = max(factor, 1)
    width, height = (-(-side // factor) for side in size)
    is_on_its_side = orientation in _UPRIGHT and orientation >= 5
    upright = Image.new("RGB", (height, width) if is_on_its_side else (width, height))
    for top, bottom in _bands(size, factor):
        band = _averageable(rows(top, bottom))
        band = _over_white(band.reduce(factor) if factor > 1 else band)
        if orientation in _UPRIGHT:
            band = band.transpose(_UPRIGHT[orientation])
        end = top // factor + -(-(bottom - top) // factor)
        place = height - end if orientation in _FROM_THE_END else top // factor
        upright.paste(band, (place, 0) if is_on_its_side else (0, place))
    return upright


def _bands(size: tuple[int, int], multiple: int = 1) -> Iterator[tuple[int, int]]:
    """From which row to before which other, from the top, some at a time."""
    rows = max(1, _BAND // (size[0] * multiple)) * multiple
    for top in range(0, size[1], rows):
        yield top, min(top + rows, size[1])


def _averageable(image: Image.Image) -> Image.Image:
    """In a mode whose pixels can be averaged: not 16 bits, not a palette."""
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("RGB", "L", "CMYK", "YCbCr") else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_grey(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """From 16-bit, 32-bit or float grey to 8 bits; the latter two do not say their range."""
    white = 65535.0
    if not image.mode.startswith("I;16"):
        bands = (image.crop((0, top, image.width, end)) for top, end in _bands(image.size))
        highest = max(float(_numbers(band).max()) for band in bands)
        if highest <= 255:
            white = 1.0 if image.mode == "F" and highest <= 1 else 255.0

    def convert(part: Image.Image) -> Image.Image:
        scaled = np.clip(_numbers(part) / white, 0, 1) * 255 + 0.5
        grey = Image.fromarray(scaled.astype(np.uint8))
        grey.info = part.info  # which value is transparent
        return grey

    return convert


def _numbers(image: Image.Image) -> NDArray[np.float32]:
    """Its pixels, float32 ``[H, W]``; what is no number is 0."""
    return np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
