from __future__ import annotations

import struct
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats import exif, tiff
from plantood.photo.images import load_image
from tests.damage import damaged
from tests.photos import encode, scene
from tests.security import payloads

GREY = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 16, 279: 256}
PIXELS = bytes(range(256))


def _tiff(*more: tuple[int, int, int, int], **changed: int) -> bytes:
    numbers = GREY | {int(tag[1:]): value for tag, value in changed.items()}
    return payloads.tiff([*((tag, 4, 1, value) for tag, value in numbers.items()), *more], PIXELS)


@pytest.mark.parametrize("prefix", TiffImagePlugin.PREFIXES)
def test_both_readers_find_the_directory_at_the_same_place(prefix: bytes) -> None:
    """Or the file is refused: what one looks at must be what the other decodes."""
    order = "<" if prefix.startswith(b"II") else ">"
    header = prefix + struct.pack(order + "IQ", 100, 200)
    header = header[: 16 if prefix[2] == 43 else 8]  # as Pillow reads it
    place = TiffImagePlugin.ImageFileDirectory_v2(header).next
    number, layout = ("Q", "HHQQ") if len(header) == 16 else ("H", "HHII")
    directory = struct.pack(order + number, 1) + struct.pack(order + layout, 256, 4, 1, 7)
    data = header.ljust(place, b"\0") + directory + bytes(200)
    found = [entry.tag for entry in exif.directory(data)]
    if exif.byte_order(data):
        assert found == [256]
    else:
        assert found == []
        with pytest.raises(UnreadablePhoto, match="two ways"):
            tiff.bare(data)


def test_a_header_that_is_read_in_two_ways_is_refused() -> None:
    with pytest.raises(UnreadablePhoto, match="two ways"):
        load_image(payloads.tiff_read_in_two_ways(1000))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("big", [False, True])
def test_the_decoder_is_given_the_same_pixels(mode: str, compression: str, big: bool) -> None:
    picture = scene(161, 121)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    written = Image.Exif()
    written[0x010F], written[exif.ORIENTATION_TAG] = "A camera", 6
    photo = encode(picture, "TIFF", compression=compression, big_tiff=big, exif=written)
    bare = tiff.bare(photo).data
    with Image.open(BytesIO(photo)) as before, Image.open(BytesIO(bare)) as after:
        assert after.mode == before.mode
        assert np.array_equal(np.asarray(before), np.asarray(after))
        assert 0x010F not in after.getexif()


def test_metadata_are_not_given_to_the_decoder() -> None:
    photo = payloads.tiff_with_directory(900, 100_000)
    tags = [entry.tag for entry in exif.directory(tiff.bare(photo).data)]
    assert max(tags) <= 279
    assert load_image(photo).width == 64


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        pytest.param([(256, 4, 1, 16)], {}, id="an entry twice"),
        pytest.param([], {"_259": 34925}, id="lzma"),
        pytest.param([], {"_259": 50000}, id="zstandard"),
        pytest.param([], {"_259": 4}, id="fax"),
        pytest.param([(322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 1, 8)], {}, id="strips and tiles"),
        pytest.param([], {"_278": 8}, id="a strip is missing"),
        pytest.param([], {"_278": 0}, id="strips of no rows"),
        pytest.param([(320, 3, 70_000, 8)], {}, id="countless values"),
        pytest.param([], {"_259": 8, "_279": 100_000}, id="a strip beyond the file"),
        pytest.param([(322, 4, 1, 0), (323, 4, 1, 16)], {}, id="strips that are tiles"),
    ],
)
def test_what_is_laid_out_as_no_photo_is_refused(
    more: list[tuple[int, int, int, int]], changed: dict[str, int]
) -> None:
    assert load_image(_tiff()).width == 16
    with pytest.raises(UnreadablePhoto):
        load_image(_tiff(*more, **changed))


def test_several_strips_at_the_same_place_are_refused() -> None:
    places = struct.pack("<4I", 8, 8, 8, 8) + struct.pack("<4I", 200, 200, 200, 200)
    entries = [(tag, 4, 1, value) for tag, value in GREY.items() if tag not in (273, 279)]
    entries = [
        (tag, type, count, 4 if tag == 278 else value) for tag, type, count, value in entries
    ]
    entries = [
        (tag, type, count, 5 if tag == 259 else value) for tag, type, count, value in entries
    ]
    entries += [(273, 4, 4, 8 + 256), (279, 4, 4, 8 + 256 + 16)]
    with pytest.raises(UnreadablePhoto, match="larger than the file"):
        tiff.bare(payloads.tiff(entries, PIXELS + places))


def test_a_tile_is_counted_whole() -> None:
    photo = tiff.bare(payloads.tiff_of_one_tile(1000, 1600, 1504))
    assert photo.pixels == photo.work == photo.memory == 1600 * 1504
    assert load_image(payloads.tiff_of_one_tile(1000, 1008, 1008)).width == 1000
    with pytest.raises(PhotoTooLarge):
        load_image(payloads.tiff_of_one_tile(1000, 32_000, 22_000))


def test_a_jpeg_within_is_bound_by_its_scans() -> None:
    photo = payloads.flat("JPEG", 3000, 2000, progressive=True, quality=10)
    whole = payloads.tiff_of_a_jpeg(photo, 3000, 2000)
    assert load_image(whole).width == 3000
    slow = payloads.progressive_with_scans(3000, 2000, 150)
    with pytest.raises(UnreadablePhoto, match="scans"):
        load_image(payloads.tiff_of_a_jpeg(slow, 3000, 2000))


@st.composite
def layouts(draw: st.DrawFn) -> bytes:
    """Entries that say anything about where and how the pixels lie."""
    tag = st.sampled_from([*GREY, 284, 317, 320, 322, 323, 324, 325, 338, 339, 347, 530])
    number = st.integers(0, 300) | st.integers(0, 0xFFFFFFFF)
    types = st.sampled_from([3, 4]) | st.integers(0, 20)
    entries = {tag: (tag, 4, 1, value) for tag, value in GREY.items()}
    for _ in range(draw(st.integers(0, 5))):
        entry = (draw(tag), draw(types), draw(st.just(1) | number), draw(number))
        entries[entry[0]] = entry
    return payloads.tiff(list(entries.values()), PIXELS)


@given(layouts())
def test_any_layout_is_bounded_or_refused(data: bytes) -> None:
    with suppress(UnreadablePhoto):
        photo = tiff.bare(data)
        assert len(photo.data) <= len(data) + 512
        assert [entry.tag for entry in exif.directory(photo.data)]
    with suppress(UnreadablePhoto):
        load_image(data)


@given(damaged(encode(scene(80, 60), "TIFF", compression="tiff_lzw")))
def test_a_damaged_file_is_written_anew_or_refused(data: bytes) -> None:
    with suppress(UnreadablePhoto):
        tiff.bare(data)
