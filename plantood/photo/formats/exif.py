"""How a photo is to be turned, read from its metadata at a bounded cost.

Pillow reads every value of a directory into memory as soon as one is asked for, wherever the file
says that it lies. Some kilobytes in which thousands of entries point to the same bytes become
gigabytes. So nothing here uses Pillow's reading, and no decoder is given metadata (`bare`). Layout:
TIFF 6.0, section 2; BigTIFF; Exif 2.32, section 4.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from PIL import Image

ORIENTATION_TAG = 0x0112
MAX_ENTRIES = 1_000
"""Of one directory; cameras write some forty."""

_HEADERS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<"}
"""Of these the byte order, and of no others: readers differ on whether those, big-endian BigTIFF
among them, are a BigTIFF's, and so on where the directory is."""
_SHORT = 3
_ENDIAN: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_XMP_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One entry of a directory.

    Attributes:
        tag: What it says.
        type: Of its values.
        count: Of its values.
        value: As it stands in the entry: the values themselves if they are short, else ...
        place: ... where in the file they are.
    """

    tag: int
    type: int
    count: int
    value: bytes
    place: int


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    r"""How a photo is to be turned: 1 (upright) to 8, as Exif numbers them.

    Args:
        exif: Exif metadata, with or without ``Exif\0\0`` before it; whatever is wrong with it,
            the photo counts as upright.
        xmp: XMP metadata, which is asked if the former say nothing.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = byte_order(exif)
    for entry in directory(exif):
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
    found = image.info.get("exif") or raw_profile(str(image.info.get("Raw profile type exif", "")))
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return orientation(found, xmp.encode() if isinstance(xmp, str) else xmp)


def raw_profile(text: str) -> bytes:
    """Exif as ImageMagick writes it: a line break, name, length, and the bytes in hexadecimal."""
    with suppress(ValueError):
        return bytes.fromhex("".join(text.split("\n")[3:]))
    return b""


def byte_order(data: bytes) -> str:
    """``<`` or ``>``; empty if this is no header on which readers agree."""
    return _HEADERS.get(data[:4], "")


def is_big(data: bytes) -> bool:
    """Whether it is a BigTIFF."""
    return data[2:3] == b"+"


def directory(data: bytes) -> Iterator[Entry]:
    """The entries of the first directory, `MAX_ENTRIES` at most; fewer if it is cut off."""
    order = byte_order(data)
    if not order:
        return
    endian = _ENDIAN[order]
    number, entry, place = ("Q", "HHQ8s", data[8:16]) if is_big(data) else ("H", "HHI4s", data[4:8])
    count, layout = struct.Struct(order + number), struct.Struct(order + entry)
    start = int.from_bytes(place, endian)
    if start > len(data):
        return
    with suppress(struct.error):
        (entries,) = count.unpack_from(data, start)
        for i in range(min(entries, MAX_ENTRIES)):
            tag, type, values, value = layout.unpack_from(
                data, start + count.size + i * layout.size
            )
            yield Entry(tag, type, values, value, int.from_bytes(value, endian))
