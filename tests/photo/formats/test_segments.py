from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import png
from plantood.photo.formats.segments import MAX_SEGMENTS, ensure_plain_bmp, ensure_short_gif
from plantood.photo.images import load_image
from tests.photos import encode
from tests.security import payloads
from tests.security.payloads import png_chunk as chunk


def encoded(format: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels), format, **options)


PNG = encoded("PNG")[:33]
GIF = b"GIF89a" + bytes(7)
"""Both as far as what stands before the picture."""


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"\xff\xd8" * 1_000_000, id="start markers"),
        pytest.param(b"\xff\xd8" + b"\xff" * 1_000_000, id="padding"),
        pytest.param(b"\xff\xd8" + b"\xff\xd0" * 1_000_000, id="restart markers"),
        pytest.param(b"\xff\xd8" + b"\xff\xe1\x00\x02" * 500_000, id="empty segments"),
        pytest.param(b"\xff\xd8" + b"\x00" * 1_000_000, id="zeros"),
        pytest.param(PNG + chunk(b"tEXt", b"") * 100_000, id="empty chunks"),
        pytest.param(PNG + chunk(b"IDAT", b"") * 100_000, id="empty pixels"),
    ],
)
def test_a_file_of_headers_is_refused(junk: bytes) -> None:
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        load_image(junk)


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(encoded("JPEG", quality=95, progressive=True), id="progressive"),
        pytest.param(encoded("JPEG", quality=95, comment=b"x" * 60_000), id="comment"),
        pytest.param(encoded("JPEG", icc_profile=bytes(4_000_000)), id="large colour profile"),
        pytest.param(encoded("PNG"), id="png"),
    ],
)
def test_a_photo_passes(photo: bytes) -> None:
    assert load_image(photo).width == 1600


def test_padding_between_segments_passes() -> None:
    photo = encoded("JPEG")
    assert load_image(photo[:2] + b"\xff" * 100 + photo[2:]).width == 1600


def test_the_limit_is_counted_up_to() -> None:
    photo = encoded("JPEG")
    comments = b"\xff\xfe\x00\x04hi" * (MAX_SEGMENTS // 2)
    assert load_image(photo[:2] + comments + photo[2:]).height == 1200


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM"]),
    st.lists(st.binary(max_size=20) | st.sampled_from([b"!\xfe\x01x\0", chunk(b"tEXt", b"")])),
    st.integers(1, 3 * MAX_SEGMENTS),
)
def test_anything_passes_or_is_refused(start: bytes, parts: list[bytes], times: int) -> None:
    with suppress(UnreadablePhoto):
        data = start + b"".join(parts) * times
        png.read(data)
        ensure_short_gif(data)
        ensure_plain_bmp(data)


@given(st.integers(2 * MAX_SEGMENTS, 3 * MAX_SEGMENTS), st.binary(max_size=8))
def test_countless_small_pieces_are_always_refused(pieces: int, content: bytes) -> None:
    block = b"!\xfe" + bytes([len(content)]) + content + (b"\0" if content else b"")
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        png.read(PNG + chunk(b"tEXt", content) * pieces)
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        ensure_short_gif(GIF + block * pieces)


@pytest.mark.parametrize("filler", [b"\0", b"\0" * 1_000_000, b"\xff" * 1_000_000])
def test_what_stands_in_a_gif_without_saying_anything_is_not_looked_through(filler: bytes) -> None:
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        load_image(payloads.gif_with_filler(filler))
    assert load_image(payloads.gif_with_filler(b"")).width == 8


def test_run_lengths_of_a_bmp_are_not_walked_through() -> None:
    with pytest.raises(UnreadablePhoto, match="compressed"):
        load_image(payloads.bmp_of_run_lengths(300, 300))
