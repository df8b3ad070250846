from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plantood.photo.formats import exif
from plantood.photo.images import load_image
from tests.photos import encode, scene
from tests.security import payloads

SMALL = encode(scene(80, 60))


def _exif(orientation: int, prefix: bytes = b"") -> bytes:
    written = Image.Exif()
    written[exif.ORIENTATION_TAG] = orientation
    return prefix + written.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_the_orientation_that_pillow_writes(orientation: int, prefix: bytes) -> None:
    assert exif.orientation(_exif(orientation, prefix)) == orientation


def test_both_byte_orders() -> None:
    for order, mark in (("<", b"II"), (">", b"MM")):
        data = mark + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", 1)
        data += struct.pack(order + "HHIHH", exif.ORIENTATION_TAG, 3, 1, 6, 0) + bytes(4)
        assert exif.orientation(data) == 6


@pytest.mark.parametrize("broken", [b"", b"II", b"II*\0\xff\xff\xff\xff", _exif(6)[:12], b"x" * 99])
def test_broken_metadata_are_those_of_an_upright_photo(broken: bytes) -> None:
    assert exif.orientation(broken) == 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not(orientation: int) -> None:
    assert exif.orientation(_exif(orientation)) == 1


def test_xmp_is_asked_where_exif_says_nothing() -> None:
    xmp = b'<rdf:Description tiff:Orientation="8"/>'
    assert exif.orientation(b"", xmp) == 8
    assert exif.orientation(_exif(3), xmp) == 3


@given(st.binary(max_size=600), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0"]))
def test_anything_is_read_in_no_time_and_raises_nothing_else(noise: bytes, start: bytes) -> None:
    assert 1 <= exif.orientation(start + noise) <= 8
    assert len(list(exif.directory(start + noise))) <= exif.MAX_ENTRIES


@st.composite
def directories(draw: st.DrawFn) -> bytes:
    """Metadata as TIFF lays them out, whose entries say anything."""
    order, mark = draw(st.sampled_from([("<", b"II"), (">", b"MM")]))
    tag = st.sampled_from([exif.ORIENTATION_TAG, 0x8769, 0x8825, 0xA005]) | st.integers(0, 0xFFFF)
    number = st.integers(0, 100) | st.integers(0, 0xFFFFFFFF)
    entries = draw(st.lists(st.tuples(tag, st.integers(0, 20), number, number), max_size=20))
    data = struct.pack(order + "2sHIH", mark, 42, 8, draw(st.just(len(entries)) | st.just(0xFFFF)))
    data += b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return data + draw(st.binary(max_size=100))


@given(directories(), st.binary(max_size=100))
def test_any_directory_is_read_or_refused(data: bytes, xmp: bytes) -> None:
    assert 1 <= exif.orientation(data, xmp) <= 8


@given(directories())
def test_any_directory_in_a_jpeg_leaves_the_photo_readable(data: bytes) -> None:
    """A phone's metadata may be broken; the photo is not."""
    photo = load_image(payloads.jpeg_with_exif(SMALL, data))
    assert sorted((photo.width, photo.height)) == [60, 80]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "tiff_deflate"])
def test_a_tiff_is_turned_once(orientation: int, compression: str) -> None:
    upright = scene(600, 400)
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turn[orientation]) if orientation in turn else upright
    tags = {exif.ORIENTATION_TAG: orientation}
    loaded = load_image(encode(stored, "TIFF", compression=compression, tiffinfo=tags))
    assert (loaded.width, loaded.height) == (600, 400)
    difference = abs(loaded.pixels.astype(int) - load_image(upright).pixels).mean()
    assert difference < 10  # 25 if it is turned otherwise


@pytest.mark.parametrize("entries", [900, 64_000])
def test_exif_that_claims_gigabytes_costs_nothing(entries: int) -> None:
    """Pillow would read each value of it into memory, 60 kB times the entries."""
    photo = payloads.jpeg_with_exif(encode(scene()), payloads.directory(entries, 60_000))
    started = time.perf_counter()
    assert load_image(photo).width == 640
    assert time.perf_counter() - started < 1
