"""The tables of a lossless WebP, counted before its decoder builds them."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats import vp8l
from plantood.photo.images import load_image
from tests.damage import damaged
from tests.photos import encode, scene
from tests.security import coded

_HEADERS = 20
"""Bytes before the stream of a lossless WebP without more."""
_MOST_GROUPS, _A_GROUP = 2_600, 21_000
"""Blocks that libwebp writes at most, and bytes that the tables of one take."""


def _of_colours(count: int) -> Image.Image:
    rng = np.random.default_rng(count)
    palette = rng.integers(0, 256, (count, 3), np.uint8)
    return Image.fromarray(palette[rng.integers(0, count, (90, 130))])


def _transparent() -> Image.Image:
    picture = scene(150, 100)
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


def _repeated() -> Image.Image:
    return Image.fromarray(np.tile(np.asarray(scene(40, 30)), (6, 5, 1)))


PICTURES = {
    "scene": scene(220, 170),
    "repeated": _repeated(),
    "gradient": Image.linear_gradient("L").convert("RGB"),
    "flat": Image.new("RGB", (70, 50), "green"),
    "a pixel": Image.new("RGB", (1, 1), "green"),
    "transparent": _transparent(),
    **{f"{count} colours": _of_colours(count) for count in (2, 4, 16, 200)},
}


@pytest.mark.parametrize("method", [0, 3, 6])
@pytest.mark.parametrize("quality", [0, 75, 100])
@pytest.mark.parametrize("name", PICTURES)
def test_what_an_encoder_writes_is_walked_over(name: str, quality: int, method: int) -> None:
    photo = encode(PICTURES[name], "WEBP", lossless=True, quality=quality, method=method)
    assert 0 < vp8l.tables(photo[_HEADERS:]) < _MOST_GROUPS * _A_GROUP
    with Image.open(BytesIO(photo)) as decoded:
        assert load_image(photo).width == decoded.width


def test_a_large_lossless_photo_is_taken() -> None:
    photo = encode(scene(1600, 1200), "WEBP", lossless=True)
    assert load_image(photo).width == 1600
    transparent = scene(1600, 1200)
    transparent.putalpha(scene(1600, 1200, seed=1).convert("L"))
    assert load_image(encode(transparent, "WEBP")).width == 1600


@pytest.mark.parametrize("kind", [coded.webp_lossless, coded.webp_of_alpha, coded.webp_of_frames])
def test_countless_groups_of_codes_are_refused(kind: coded.Kind) -> None:
    assert load_image(kind(256, coded.lossless_of_groups(256, 4096))).width == 256
    with pytest.raises(PhotoTooLarge, match="more memory"):
        load_image(kind(1024, coded.lossless_of_groups(1024, 65_536)))


def test_countless_pixels_of_transforms_are_refused() -> None:
    assert load_image(coded.webp_lossless(1024, coded.lossless_of_transforms(1024))).width == 1024
    with pytest.raises(PhotoTooLarge, match="blocks"):
        load_image(coded.webp_lossless(2048, coded.lossless_of_transforms(2048)))


@pytest.mark.parametrize("name", PICTURES)
def test_a_stream_that_broke_off_is_refused_or_has_few_tables(name: str) -> None:
    stream = encode(PICTURES[name], "WEBP", lossless=True)[_HEADERS:]
    for end in range(min(len(stream), 200)):
        with suppress(UnreadablePhoto):
            assert vp8l.tables(stream[:end]) <= vp8l.tables(stream)


@given(damaged(encode(_repeated(), "WEBP", lossless=True)[_HEADERS:]))
def test_a_damaged_stream_is_bounded_or_refused(stream: bytes) -> None:
    with suppress(UnreadablePhoto):
        assert vp8l.tables(stream) <= vp8l.MAX_GROUPS * _A_GROUP


@given(damaged(coded.lossless_of_groups(64, 256), coded.lossless_of_transforms(64)))
def test_so_is_one_that_was_hostile_before(stream: bytes) -> None:
    with suppress(UnreadablePhoto):
        assert vp8l.tables(stream, (64, 64)) <= vp8l.MAX_GROUPS * _A_GROUP
