from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats import av1, isobmff
from plantood.photo.images import load_image
from tests.photos import encode, heic, scene
from tests.security import payloads

HEIC = heic(scene(1200, 900), quality=60, tile_size=256)
"""As phones write it: of tiles, each with a place of its own in the file."""
AVIF = encode(scene(), "AVIF")


@pytest.mark.parametrize("photo", [HEIC, AVIF], ids=["heic", "avif"])
def test_a_whole_photo_passes(photo: bytes) -> None:
    isobmff.ensure_whole(photo)
    assert load_image(photo).pixels.std() > 20


def test_the_heic_of_this_test_has_tiles() -> None:
    assert HEIC.count(b"hvc1") > 10


@pytest.mark.parametrize("photo", [HEIC, AVIF], ids=["heic", "avif"])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9, 0.99])
def test_a_photo_of_which_a_part_is_missing_is_refused(photo: bytes, share: float) -> None:
    with pytest.raises(UnreadablePhoto):
        load_image(photo[: int(len(photo) * share)])


def test_a_real_phone_s_photo_that_broke_off_is_refused(shared: Path) -> None:
    with pytest.raises(UnreadablePhoto, match="broke off"):
        load_image(shared / "cases" / "heic_cut_20pct.heic")


def test_what_some_phones_append_is_no_box_and_does_no_harm() -> None:
    load_image(HEIC + b"SEFT trailer of a maker" * 10)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def test_a_file_of_boxes_is_refused() -> None:
    start = HEIC[: int.from_bytes(HEIC[:4])]
    with pytest.raises(UnreadablePhoto, match="made of boxes"):
        isobmff.ensure_whole(start + _box(b"free", b"") * 100_000)


def test_a_file_of_metadata_is_refused() -> None:
    """One Exif of a megabyte, which a thousand pictures claim as theirs."""
    exif = bytes(1 << 20)
    infe = _box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"Exif") + b"\0")
    picture = _box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 2, 0, b"hvc1") + b"\0")
    iinf = _box(b"iinf", bytes(4) + struct.pack(">H", 2) + infe + picture)
    cdsc = _box(
        b"cdsc",
        struct.pack(">HH", 1, 1000) + b"".join(struct.pack(">H", 2 + n) for n in range(1000)),
    )
    iref = _box(b"iref", bytes(4) + cdsc)
    ftyp = _box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(offset: int) -> bytes:
        iloc = _box(
            b"iloc",
            bytes(4) + b"\x44\0" + struct.pack(">HHHHII", 1, 1, 0, 1, offset, len(exif)),
        )
        pitm = _box(b"pitm", bytes(4) + struct.pack(">H", 2))
        return _box(b"meta", bytes(4) + pitm + iinf + iloc + iref)

    offset = len(ftyp) + len(meta(0)) + 8
    file = ftyp + meta(offset) + _box(b"mdat", exif)
    with pytest.raises(UnreadablePhoto, match="made of metadata"):
        isobmff.ensure_whole(file)


@pytest.mark.parametrize("coding", [b"unci", b"j2k1", b"jpeg", b"vvc1", b"mski"])
def test_a_photo_coded_as_no_phone_does_is_not_given_to_the_decoder(coding: bytes) -> None:
    with pytest.raises(UnreadablePhoto, match="no phone"):
        isobmff.ensure_whole(HEIC.replace(b"\0\0hvc1\0", b"\0\0" + coding + b"\0", 1))


def test_an_avif_is_as_large_as_its_picture_and_not_as_it_says() -> None:
    photo = payloads.avif_larger_than_it_says(8000, 6000, 64)
    assert isobmff.ensure_whole(photo) >= 48_000_000
    with pytest.raises(PhotoTooLarge):
        load_image(photo)


@pytest.mark.parametrize("size", [(64, 64), (641, 479), (5000, 300)])
def test_the_size_of_an_av1_picture_is_that_which_its_encoder_was_given(
    size: tuple[int, int],
) -> None:
    photo = payloads.flat("AVIF", *size)
    pixels = isobmff.ensure_whole(photo)
    assert size[0] * size[1] <= pixels <= (size[0] + 8) * (size[1] + 8)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_av1_picture_or_refused(noise: bytes) -> None:
    try:
        width, height = av1.frame_size(noise)
    except UnreadablePhoto:
        return
    assert 0 < width <= 1 << 16
    assert 0 < height <= 1 << 16


@given(st.data())
def test_a_damaged_list_of_contents_raises_nothing_else(data: st.DataObject) -> None:
    photo = bytearray(HEIC if data.draw(st.booleans()) else AVIF)
    head = min(len(photo), 6000)
    for _ in range(data.draw(st.integers(1, 8))):
        photo[data.draw(st.integers(8, head - 1))] = data.draw(st.integers(0, 255))
    with suppress(UnreadablePhoto):
        isobmff.ensure_whole(bytes(photo))


@given(data=st.data())
def test_boxes_of_anything_are_a_photo_or_refused(data: st.DataObject) -> None:
    kinds = st.sampled_from(
        [b"ftyp", b"meta", b"iloc", b"iinf", b"infe", b"pitm", b"iref", b"idat"]
    )
    numbers = st.binary(max_size=60)

    def box(content: bytes) -> bytes:
        size = data.draw(st.just(8 + len(content)) | st.integers(0, 40))
        return struct.pack(">I4s", size, data.draw(kinds)) + content

    inner = b"".join(box(data.draw(numbers)) for _ in range(data.draw(st.integers(0, 6))))
    file = box(b"heic") + struct.pack(">I4s", 12 + len(inner), b"meta") + bytes(4) + inner
    with suppress(UnreadablePhoto):
        isobmff.ensure_whole(file)


@pytest.mark.parametrize("photo", [HEIC, AVIF], ids=["heic", "avif"])
@given(data=st.data())
def test_wherever_a_photo_broke_off_it_is_refused(photo: bytes, data: st.DataObject) -> None:
    with pytest.raises(UnreadablePhoto):
        isobmff.ensure_whole(photo[: data.draw(st.integers(len(photo) // 2, len(photo) - 1))])
