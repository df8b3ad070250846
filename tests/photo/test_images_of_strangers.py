"""Whatever bytes are sent: a photo, or an error that says that they are none."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plantood.errors import UnreadablePhoto
from plantood.photo.images import Limits, LoadedImage, load_image, load_whole
from tests.damage import damaged
from tests.photos import encode, heic, scene

PICTURE = scene(160, 120)
PHOTOS = {
    "jpeg": encode(PICTURE),
    "jpeg progressive": encode(PICTURE, progressive=True),
    "jpeg cmyk": encode(PICTURE.convert("CMYK")),
    "jpeg with restarts": encode(PICTURE, restart_marker_blocks=3),
    "png": encode(PICTURE, "PNG"),
    "png palette": encode(PICTURE.convert("P"), "PNG"),
    "webp": encode(PICTURE, "WEBP"),
    "webp lossless": encode(PICTURE, "WEBP", lossless=True),
    "avif": encode(PICTURE, "AVIF", speed=10),
    "gif": encode(PICTURE, "GIF"),
    "bmp": encode(PICTURE, "BMP"),
    "tiff": encode(PICTURE, "TIFF"),
    "tiff lzw": encode(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff jpeg": encode(PICTURE, "TIFF", compression="jpeg"),
    "heic": heic(PICTURE, quality=50),
    "heic tiles": heic(scene(320, 240), quality=50, tile_size=128),
}
LIMITS = Limits(max_bytes=1 << 20, max_pixels=1_000_000, max_memory=64 << 20)


def loaded(data: bytes) -> LoadedImage | None:
    """The photo, which is sound then; None if it was refused. Nothing else may be raised."""
    try:
        image = load_image(data, LIMITS)
    except UnreadablePhoto:  # or PhotoTooLarge, which is one
        return None
    assert image.pixels.dtype == np.uint8
    assert image.pixels.ndim == 3
    assert image.pixels.shape[2] == 3
    assert 0 < image.pixels.shape[0] <= image.height
    assert 0 < image.pixels.shape[1] <= image.width
    assert image.width * image.height <= LIMITS.max_pixels
    return image


@pytest.mark.parametrize("name", PHOTOS)
@given(length=st.integers(0, 40), noise=st.binary(max_size=500))
def test_any_bytes_behind_a_beginning(name: str, length: int, noise: bytes) -> None:
    loaded(PHOTOS[name][:length] + noise)


@pytest.mark.parametrize("name", PHOTOS)
@given(data=st.data())
def test_a_damaged_photo(name: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from(sorted(PHOTOS)))
    loaded(data.draw(damaged(PHOTOS[name], PHOTOS[other])))


@pytest.mark.parametrize("name", ["jpeg", "jpeg cmyk", "jpeg with restarts", "png", "png palette"])
@given(data=st.data())
def test_of_a_photo_that_ends_early_no_pixel_is_made_up(name: str, data: st.DataObject) -> None:
    """It is refused, or nothing but the end marker is missing."""
    whole = PHOTOS[name]
    photo = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        image = load_whole(photo)
    except UnreadablePhoto:
        return
    assert np.array_equal(np.asarray(image), np.asarray(load_whole(whole)))


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused() -> None:
    photo = PHOTOS["jpeg progressive"]
    second = [found.start() for found in re.finditer(b"\xff\xda", photo)][1]
    assert loaded(photo[:second]) is None


@example(2)
@example(1)
@given(st.integers(1, 64))
def test_a_jpeg_s_last_bytes_are_missed(missing: int) -> None:
    """One that lacks some of its last row is refused; one that lacks its end marker is whole."""
    image = loaded(PHOTOS["jpeg"][:-missing])
    assert (image is not None) == (missing <= 2)
