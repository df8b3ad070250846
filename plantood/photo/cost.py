"""What a photo may cost, and what it will, known from its header.

Everything that decodes asks here, before it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats.bare import Bare

SHORTER_SIDE = 336
"""Photos are reduced on load, but never below this shorter side: one and a half times the model's
input, so that 12 megapixels are decoded at an eighth of their scale. At 224 pixels that differs
from a full decode by 0.5 to 1 of 255 on average."""

MOST_ELONGATED = 20
"""Longer side by shorter side. A panorama has 10; a strip of 300 by 200,000 pixels is no photo, and
could not be reduced."""

_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2.25, "I;16B": 2.25}
"""What a picture takes in Pillow, by its mode; 4 in all others. In bands, 16 bits become 32."""
_BYTES_A_PIXEL_MORE = {"WEBP": 12.5, "AVIF": 10, "TIFF": 5}
"""What the decoders of some formats take beside it, measured; a test holds them."""
_HEIF_BYTES_A_PIXEL, _HEIF_BYTES_A_PIXEL_AT_MOST = 5.5, 10.5
"""As phones write it (8 bits, colours at half the size), and otherwise; measured, too."""
_BYTES_IN_ANY_CASE = 16 << 20
"""Bands in other modes, the reduced picture, and what decoders keep."""
_MOST_WORK, _WORK_IN_ANY_CASE = 4, 1 << 20
"""Pixels that are decoded, by those of the photo, and beside them: tiles reach over its edges, and
some photos have a second picture of what is transparent or brighter."""

Admit: TypeAlias = Callable[[int], None]
"""Asked with a number of bytes before they are taken for decoding; raises if they may not be."""


@dataclass(frozen=True)
class Limits:
    """What a photo may cost; it is refused before it is decoded.

    Attributes:
        max_bytes: Size of the file, in bytes. Pixels in memory have no file and no such limit.
        max_pixels: Width times height. Pillow's own limit of 179 million pixels stays above it.
        max_memory: What decoding may take, in bytes. A JPEG hardly takes any; of the formats that
            are decoded as a whole this is the stricter limit.
        shorter_side: The photo is reduced on load, but not below this, in pixels; None for all of
            its pixels. Those of formats that are decoded as a whole then come on top of
            `max_memory`: 4 bytes for each.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 110_000_000
    max_memory: int = 384 * 2**20
    shorter_side: int | None = SHORTER_SIDE


def ensure_size(size: int, limits: Limits) -> None:
    """Refuse a file of too many bytes.

    Raises:
        PhotoTooLarge: It has them.
    """
    if size > limits.max_bytes:
        raise PhotoTooLarge(f"{size:,} bytes are more than the limit of {limits.max_bytes:,} bytes")


def ensure_pixels(size: tuple[int, int], limits: Limits) -> None:
    """Refuse a picture with too many pixels, or none, or in one row.

    Raises:
        PhotoTooLarge: It has more than the limit.
        UnreadablePhoto: It is no photo.
    """
    width, height = size
    if width * height > limits.max_pixels:
        raise PhotoTooLarge(
            f"{width} x {height} pixels are more than the limit of {limits.max_pixels:,} pixels"
        )
    if not width * height:
        raise UnreadablePhoto("the photo has no pixels")
    if max(size) > MOST_ELONGATED * max(min(size), 16):
        raise UnreadablePhoto(f"{width} x {height} pixels are a strip, not a photo")


def a_pixel(mode: str, format: str) -> float:
    """Bytes a pixel that Pillow and its decoder take, by the mode and format of the picture."""
    return _BYTES_A_PIXEL.get(mode, 4) + _BYTES_A_PIXEL_MORE.get(format, 0)


def a_pixel_of_heif(usual: bool) -> float:
    """The same of an HEIC, as phones write it or not."""
    return _HEIF_BYTES_A_PIXEL if usual else _HEIF_BYTES_A_PIXEL_AT_MOST


def factor(size: tuple[int, int], limits: Limits) -> int:
    """By how much a photo may be reduced; 0 if it may not."""
    if limits.shorter_side is None:
        return 0
    factor = min(size) // limits.shorter_side
    return factor if factor > 1 else 0


def factor_that_fits(memory: Callable[[int], int], limits: Limits) -> int:
    """By how much a JPEG has to be reduced for its memory; 1 if all of it fits.

    Args:
        memory: Bytes that it takes when it is reduced by 1, 2, 4 or 8.
        limits: What it may take.
    """
    fits = (f for f in (1, 2, 4) if memory(f) + _BYTES_IN_ANY_CASE <= limits.max_memory)
    return next(fits, 8)


def ask(memory: int, size: tuple[int, int], limits: Limits, admit: Admit) -> None:
    """Ask for the memory that decoding takes, in bytes.

    Raises:
        PhotoTooLarge: It is more than any photo may take.
    """
    memory += _BYTES_IN_ANY_CASE
    if limits.shorter_side is not None and not factor(size, limits):
        memory += 12 * size[0] * size[1]  # it stays as large, with some copies
    if memory > limits.max_memory:
        raise PhotoTooLarge(
            f"{size[0]} x {size[1]} pixels take more memory in this format than the limit of "
            f"{limits.max_memory >> 20} MB; send it as a JPEG"
        )
    admit(memory)


def ask_for_bare(
    photo: Bare, a_pixel: float, size: tuple[int, int], limits: Limits, admit: Admit
) -> None:
    """Ask for the memory of a photo that is decoded as a whole.

    Args:
        photo: Whose header was read.
        a_pixel: Bytes that its format takes for each pixel.
        size: Of the picture, in pixels.
        limits: How much it may be.
        admit: As of :func:`load_image`.

    Raises:
        PhotoTooLarge: It is more than any photo may take, or the decoder would have far more to do
            than there is to see.
    """
    ensure_pixels(size, limits)
    said = size[0] * size[1]
    if photo.work > _MOST_WORK * said + _WORK_IN_ANY_CASE:
        raise PhotoTooLarge(
            f"the pictures in the file have {photo.work:,} pixels, far more than the "
            f"{said:,} that it says; send it as a JPEG"
        )
    memory = len(photo.data) + photo.memory + int(a_pixel * max(photo.pixels, said))
    ask(memory, size, limits, admit)
