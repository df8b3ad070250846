from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
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
from tests.security import coded, payloads

GREY = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 16, 279: 256}
PIXELS = bytes(range(256))
_GREY = scene(64, 16).convert("L")


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


@pytest.mark.parametrize("compression", [5, 7, 8, 32773])
def test_strips_that_share_their_bytes_are_refused(compression: int) -> None:
    """Each would be decoded anew: 15 kB could take 13 seconds."""
    strip = {
        5: b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01",
        7: encode(Image.new("L", (64, 16)), quality=30),
        8: zlib.compress(bytes(64 * 16)),
        32773: b"\x81\0" * 8,
    }[compression]
    shared = coded.tiff_of_strips(strip, 64, 16, 4, compression, shared=True)
    with pytest.raises(UnreadablePhoto, match="overlap"):
        tiff.bare(shared)
    tiff.bare(coded.tiff_of_strips(strip, 64, 16, 4, compression, shared=False))


def test_strips_that_overlap_by_a_byte_are_refused() -> None:
    strip = zlib.compress(bytes(64 * 16))
    photo = coded.tiff_of_strips(strip, 64, 16, 2, 8, shared=False)
    assert load_image(photo).height == 32
    places = struct.pack("<2I", 8, 8 + len(strip) + len(strip) % 2)
    assert places in photo
    with pytest.raises(UnreadablePhoto, match="overlap"):
        load_image(photo.replace(places, struct.pack("<2I", 8, 8 + len(strip) - 1)))


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr", "CMYK"])
def test_a_jpeg_in_each_strip_is_decoded(mode: str) -> None:
    picture = scene(300, 200).convert(mode)
    photo = encode(picture, "TIFF", compression="jpeg", tiffinfo={278: 16})
    assert tiff.bare(photo).data.count(b"\xff\xda") == 13
    assert load_image(photo).height == 200


@pytest.mark.parametrize(
    "strip",
    [
        pytest.param(lambda: encode(_GREY, progressive=True), id="progressive"),
        pytest.param(lambda: coded.jpeg_arithmetic(64, 16, 2), id="arithmetic"),
        pytest.param(lambda: encode(_GREY)[:-2] + payloads.EMPTY_SCAN * 2, id="more scans"),
        pytest.param(lambda: encode(_GREY).replace(b"\xff\xc0", b"\xff\xc3", 1), id="lossless"),
        pytest.param(lambda: encode(_GREY)[2:], id="no beginning"),
        pytest.param(
            lambda: encode(scene(64, 16)).replace(b"\xff\xda\0\x0c\3", b"\xff\xda\0\x0c\1"),
            id="a scan of one colour",
        ),
    ],
)
def test_a_strip_that_is_another_jpeg_is_refused(strip: Callable[[], bytes]) -> None:
    """Of one scan, as libtiff and cameras write it; each more goes over all of it again."""
    assert load_image(coded.tiff_of_strips(encode(_GREY), 64, 16, 2, shared=False)).height == 32
    with pytest.raises(UnreadablePhoto, match="compressed in a way that no photo is"):
        load_image(coded.tiff_of_strips(strip(), 64, 16, 2, shared=False))


def test_countless_segments_of_all_jpegs_together_are_refused() -> None:
    strip = encode(_GREY)
    strip = strip[:2] + b"\xff\xfe\0\2" * 1500 + strip[2:]
    with pytest.raises(UnreadablePhoto, match="compressed in a way that no photo is"):
        tiff.bare(coded.tiff_of_strips(strip, 64, 16, 140, shared=False))


def test_a_tile_is_counted_whole() -> None:
    photo = tiff.bare(payloads.tiff_of_one_tile(1000, 1600, 1504))
    assert photo.pixels == photo.work == photo.memory == 1600 * 1504
    assert load_image(payloads.tiff_of_one_tile(1000, 1008, 1008)).width == 1000
    with pytest.raises(PhotoTooLarge):
        load_image(payloads.tiff_of_one_tile(1000, 32_000, 22_000))


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
