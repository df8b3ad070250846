from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats.heif import hevc, isobmff
from plantood.photo.images import load_image
from tests.photos import heic, scene
from tests.security import payloads

PHOTO = heic(scene(400, 300), quality=60)
DELIMITER = b"\x46\x01\x50"
"""A unit that says nothing."""


def _item(photo: bytes = PHOTO) -> bytes:
    return photo[photo.index(b"mdat") + 4 :]


def _record() -> bytes:
    place = PHOTO.index(b"hvcC")
    return PHOTO[place + 4 : place - 4 + int.from_bytes(PHOTO[place - 4 : place])]


def _units(item: bytes) -> list[bytes]:
    found = []
    while item:
        size = int.from_bytes(item[:4])
        found.append(item[4 : 4 + size])
        item = item[4 + size :]
    return found


def _of(*units: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units)


def _slice() -> bytes:
    (picture,) = [unit for unit in _units(_item()) if unit[0] >> 1 & 63 < 32]
    return picture


@pytest.mark.parametrize("size", [(64, 64), (641, 479), (4000, 300)])
def test_what_an_encoder_makes_is_one_picture(size: tuple[int, int]) -> None:
    slices, units = hevc.slices(_item(heic(Image.new("RGB", size), quality=60)))
    assert slices == 1
    assert units < 8


def test_a_picture_that_is_not_shown_is_counted_too() -> None:
    """A decoder decodes all that an item holds, and hands on the last."""
    for often in (2, 50):
        item = _of(*[_slice()] * often)
        with pytest.raises(UnreadablePhoto, match="made of pictures"):
            hevc.slices(item)
        with pytest.raises(UnreadablePhoto, match="made of pictures"):
            load_image(payloads.with_item(PHOTO, lambda _, item=item: item))


def test_each_slice_counts_as_a_whole_picture() -> None:
    first = _slice()
    further = first[:2] + bytes([first[2] & 127]) + first[3:]
    assert hevc.slices(_of(first, *[further] * 3)) == (4, 4)
    with pytest.raises(PhotoTooLarge, match="far more"):
        load_image(
            payloads.with_item(PHOTO, lambda item: item + _of(*[further] * 20)),
        )


@pytest.mark.parametrize("often", [100, 100_000])
def test_units_that_say_nothing_are_refused(often: int) -> None:
    unit = _of(DELIMITER)
    load_image(payloads.with_item(PHOTO, lambda item: unit * 3 + item))
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        load_image(payloads.with_item(PHOTO, lambda item: unit * often + item))


@pytest.mark.parametrize(
    "item", [b"", b"\0\0\0", _of(DELIMITER), _item()[:-1], _of(b"\x26") + _item()]
)
def test_what_is_no_picture_is_refused(item: bytes) -> None:
    with pytest.raises(UnreadablePhoto):
        hevc.slices(item)


def test_no_picture_stands_before_the_first() -> None:
    """It would be decoded with every tile anew."""
    assert hevc.units_before([_record()]) >= 3
    slice_ = _slice()[:500]
    more = bytes([_record()[22] + 1]) + _record()[23:]
    more += b"\x13" + struct.pack(">HH", 1, len(slice_)) + slice_
    with pytest.raises(UnreadablePhoto, match="no phone"):
        hevc.units_before([_record()[:22] + more])


def test_units_before_the_pictures_are_counted_over_all_records() -> None:
    array = b"\x27" + struct.pack(">H", 100) + b"\0\1\x40" * 100
    record = bytes(21) + b"\3\1" + array
    assert hevc.units_before([record, bytes(21) + b"\3\0", record]) == 100
    empty = bytes(21) + b"\3\xff" + bytes(3 * 255)
    for records in ([record] * 10, [empty] * 4):
        with pytest.raises(UnreadablePhoto, match="made of headers"):
            hevc.units_before(records)


def test_lengths_of_another_size_than_decoders_read_are_refused() -> None:
    record = bytearray(_record())
    record[21] &= 0xFD  # of two bytes
    with pytest.raises(UnreadablePhoto, match="no phone"):
        hevc.units_before([bytes(record)])
    with pytest.raises(UnreadablePhoto, match="no phone"):
        isobmff.bare(PHOTO.replace(_record(), bytes(record)))


@given(st.data())
def test_a_damaged_item_raises_nothing_else(data: st.DataObject) -> None:
    item = bytearray(_item()[: data.draw(st.integers(0, 400))])
    for _ in range(data.draw(st.integers(0, 4))):
        if item:
            item[data.draw(st.integers(0, len(item) - 1))] = data.draw(st.integers(0, 255))
    try:
        hevc.slices(bytes(item))
    except UnreadablePhoto:
        return
