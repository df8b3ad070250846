from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plantood.errors import UnreadablePhoto
from plantood.photo.formats.segments import MAX_SEGMENTS, ensure_few_segments
from plantood.photo.images import load_image
from tests.photos import encode


def encoded(format: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels), format, **options)


PNG = encoded("PNG")[:33]
GIF = b"GIF89a" + bytes(7)
"""Both as far as what stands before the picture."""


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"\xff\xd8" * 1_000_000, id="start markers"),
        pytest.param(b"\xff\xd8" + b"\xff" * 1_000_000, id="padding"),
        pytest.param(b"\xff\xd8" + b"\xff\xd0" * 1_000_000, id="restart markers"),
        pytest.param(b"\xff\xd8" + b"\xff\xe1\x00\x02" * 500_000, id="empty segments"),
        pytest.param(b"\xff\xd8" + b"\x00" * 1_000_000, id="zeros"),
        pytest.param(PNG + chunk(b"tEXt") * 100_000, id="empty chunks"),
        pytest.param(PNG + chunk(b"IDAT") * 100_000, id="empty pixels"),
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
    ensure_few_segments(photo)
    assert load_image(photo).width == 1600


def test_padding_between_segments_passes() -> None:
    photo = encoded("JPEG")
    ensure_few_segments(photo[:2] + b"\xff" * 100 + photo[2:])


def test_the_limit_is_counted_up_to() -> None:
    photo = encoded("JPEG")
    comments = b"\xff\xfe\x00\x04hi" * (MAX_SEGMENTS // 2)
    assert load_image(photo[:2] + comments + photo[2:]).height == 1200


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b""]),
    st.lists(st.binary(max_size=20) | st.sampled_from([b"!\xfe\x01x\0", chunk(b"tEXt")])),
    st.integers(1, 3 * MAX_SEGMENTS),
)
def test_anything_passes_or_is_refused(start: bytes, parts: list[bytes], times: int) -> None:
    with suppress(UnreadablePhoto):
        ensure_few_segments(start + b"".join(parts) * times)


@given(st.integers(2 * MAX_SEGMENTS, 3 * MAX_SEGMENTS), st.binary(max_size=8))
def test_countless_small_pieces_are_always_refused(pieces: int, content: bytes) -> None:
    block = b"!\xfe" + bytes([len(content)]) + content + (b"\0" if content else b"")
    for photo in (PNG + chunk(b"tEXt", content) * pieces, GIF + block * pieces):
        with pytest.raises(UnreadablePhoto, match="made of headers"):
            ensure_few_segments(photo)
