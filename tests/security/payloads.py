"""Files and requests that no phone sends."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.photos import encode

EMPTY_SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x01\x01\x00"
"""One more look at one coefficient of a progressive JPEG, with nothing in it."""


class Evil:
    """Pickled, it makes a file where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


class _Call:
    """Pickled, it is the result of a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def forged_array() -> bytes:
    """A pickle of nothing but NumPy's names: whoever reads it follows a pointer of a stranger's."""
    forged = _Call(np.ndarray, (1,), np.dtype("O"), b"A" * 8)
    return pickle.dumps({"images": _Call(np.ndarray, forged, np.dtype("u1"))}, 4)


def large_memo(place: int) -> bytes:
    """A pickle of an empty list, kept at such a place: room is made for all below it."""
    return b"\x80\x05]r" + struct.pack("<I", place) + b"."


def flat(format: str, width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    """A small file of a large picture."""
    return encode(Image.new(mode, (width, height), 0), format, **options)


def progressive_with_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG, to whose end so many empty scans are added."""
    photo = flat("JPEG", width, height, progressive=True, quality=30)
    return photo[:-2] + EMPTY_SCAN * scans + b"\xff\xd9"


def png_16_bit(width: int, height: int) -> bytes:
    """A PNG of 16-bit grey, all zeros, without ever having its pixels in memory."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    packer, row, pieces = zlib.compressobj(9), bytes(1 + 2 * width), []
    for _ in range(height):
        pieces.append(packer.compress(row))
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    body = b"".join([*pieces, packer.flush()])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def directory(entries: int, size: int) -> bytes:
    """A TIFF directory, as in Exif: so many entries, each of which is all of the same bytes."""
    items = b"".join(
        struct.pack("<HHII", number, 7, size, 8) for number in range(1000, 1000 + entries)
    )
    start = 8 + size
    return (
        struct.pack("<2sHI", b"II", 42, start)
        + bytes(size)
        + struct.pack("<H", entries)
        + items
        + bytes(4)
    )


def jpeg_with_exif(photo: bytes, exif: bytes) -> bytes:
    """A JPEG whose Exif is spread over as many segments as it needs; Pillow joins them."""
    room = 65_535 - 2 - 6
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(part)) + b"Exif\0\0" + part
        for start in range(0, len(exif), room)
        for part in [exif[start : start + room]]
    )
    return photo[:2] + segments + photo[2:]


def tiff_with_directory(entries: int, size: int) -> bytes:
    """A TIFF with entries that all are the whole file."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    usual = [
        (256, 3, 1, 64),
        (257, 3, 1, 64),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, 3),
        (278, 3, 1, 64),
        (279, 4, 1, pixels.nbytes),
    ]
    items = [struct.pack("<HHII", *entry) for entry in usual]
    items += [struct.pack("<HHII", 0x9000 + number, 7, size, 8) for number in range(entries)]
    content = pixels.tobytes() + bytes(size)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(content))
    return header + content + struct.pack("<H", len(items)) + b"".join(items) + bytes(4)


def gif_of_comments(blocks: int) -> bytes:
    """A GIF with a comment in so many pieces."""
    picture = flat("GIF", 8, 8, "P")
    start = 13 + (3 << (picture[10] & 7) + 1 if picture[10] & 0x80 else 0)
    return picture[:start] + b"\x21\xfe" + b"\x01x" * blocks + b"\0" + picture[start:]


def avif_larger_than_it_says(width: int, height: int, said: int) -> bytes:
    """An AVIF whose container says that its picture is ``said`` pixels a side."""
    photo = flat("AVIF", width, height, speed=10, quality=10)
    size = b"ispe" + bytes(4) + struct.pack(">II", width, height)
    assert size in photo
    return photo.replace(size, size[:8] + struct.pack(">II", said, said))
