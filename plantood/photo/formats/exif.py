"""How a photo is to be turned, read from its metadata at a bounded cost.

Pillow reads every value of a directory into memory as soon as one is asked for, wherever the file
says that it lies. Some kilobytes in which thousands of entries point to the same bytes become
gigabytes. So nothing here uses Pillow's reading, and whatever has to (TIFF, AVIF, HEIC) is looked
at first. Layout: TIFF 6.0, section 2; BigTIFF; Exif 2.32, section 4.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from plantood.errors import UnreadablePhoto

ORIENTATION_TAG = 0x0112
MAX_ENTRIES = 1_000
"""Of one directory; cameras write some forty."""
MAX_VALUES = 65_536
"""Numbers in one entry: above all the places of a TIFF's strips, of which one row is the least."""
_SLACK = 64 * 1024
"""Bytes that the values may have beyond those of the file, for the few that share some."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_BYTES = (1, 2, 6, 7)
_SHORT = 3
_ENDIAN: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
_DIRECTORIES = (0x8769, 0x8825, 0xA005)
"""Entries whose value is the place of a further directory: Exif, GPS, interoperability."""
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_XMP_BYTES = 1 << 20


@dataclass(frozen=True)
class _Entry:
    tag: int
    type: int
    count: int
    value: bytes  # as it stands in the entry: the value itself if it is short, else its place

    @property
    def size(self) -> int:
        return _SIZES.get(self.type, 0) * self.count


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    r"""How a photo is to be turned: 1 (upright) to 8, as Exif numbers them.

    Args:
        exif: Exif metadata, with or without ``Exif\0\0`` before it; whatever is wrong with it,
            the photo counts as upright.
        xmp: XMP metadata, which is asked if the former say nothing.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = _byte_order(exif)
    for entry in _directory(exif, order, _first(exif, order)) if order else ():
        if entry.tag == ORIENTATION_TAG and entry.type == _SHORT and entry.count == 1:
            turned = int.from_bytes(entry.value[:2], _ENDIAN[order])
            if 1 <= turned <= 8:
                return turned
    found = _XMP_ORIENTATION.search(xmp[:_XMP_BYTES])
    return int(found[1]) if found else 1


def of_image(image: Image.Image) -> int:
    """How a Pillow image is still to be turned; one of a TIFF has been turned by its decoder."""
    if image.format == "TIFF":
        return 1
    found = image.info.get("exif") or b""
    if not found and (text := image.info.get("Raw profile type exif")):  # as ImageMagick writes it
        with suppress(ValueError):
            found = bytes.fromhex("".join(str(text).split("\n")[3:]))
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return orientation(found, xmp.encode() if isinstance(xmp, str) else xmp)


def ensure_modest(data: bytes) -> None:
    """Refuse a TIFF, or Exif metadata, that claims to hold more than the file does.

    Looked at are the first directory and those that it names, which are all that Pillow reads of a
    photo.

    Raises:
        UnreadablePhoto: It has more entries, or more values, than any photo.
    """
    data = data.removeprefix(b"Exif\0\0")
    order = _byte_order(data)
    if not order:
        return
    entries, size, directories = 0, 0, [_first(data, order)]
    for start in directories:
        for entry in _directory(data, order, start):
            entries += 1
            size += entry.size
            if entry.tag in _DIRECTORIES:
                directories.append(int.from_bytes(entry.value, _ENDIAN[order]))
            if (
                entries > MAX_ENTRIES
                or size > len(data) + _SLACK
                or (entry.count > MAX_VALUES and entry.type not in _BYTES)
            ):
                raise UnreadablePhoto("the photo's metadata are larger than the photo")


def _byte_order(data: bytes) -> str:
    """``<`` or ``>``; empty if this is no TIFF header."""
    return {b"II": "<", b"MM": ">"}.get(data[:2], "")


def _is_big(data: bytes) -> bool:
    return data[2:4] in (b"\x2b\0", b"\0\x2b")


def _first(data: bytes, order: str) -> int:
    """Where the first directory begins."""
    place = data[8:16] if _is_big(data) else data[4:8]
    return int.from_bytes(place, _ENDIAN[order])


def _directory(data: bytes, order: str, start: int) -> Iterator[_Entry]:
    """The entries of a directory, one more than `MAX_ENTRIES` at most; fewer if it is cut off."""
    number, entry = ("Q", "HHQ8s") if _is_big(data) else ("H", "HHI4s")
    count, layout = struct.Struct(order + number), struct.Struct(order + entry)
    if start > len(data):
        return
    try:
        (entries,) = count.unpack_from(data, start)
        for i in range(min(entries, MAX_ENTRIES + 1)):
            yield _Entry(*layout.unpack_from(data, start + count.size + i * layout.size))
    except struct.error:
        return
