"""Files and requests that no phone sends."""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.photos import encode, heic

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

    packer, row, pieces = zlib.compressobj(9), bytes(1 + 2 * width), []
    for _ in range(height):
        pieces.append(packer.compress(row))
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    body = b"".join([*pieces, packer.flush()])
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", body)
        + png_chunk(b"IEND", b"")
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


def png_chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_with(chunks: bytes, picture: bytes | None = None) -> bytes:
    """A PNG with chunks between its header and its pixels."""
    picture = picture or flat("PNG", 400, 400)
    return picture[:33] + chunks + picture[33:]


def png_of_texts(texts: int) -> bytes:
    """A PNG with so many texts of a million characters, each of which takes four bytes."""
    text = zlib.compress(("a" * ((1 << 20) - 8) + "\U0001f33f").encode(), 9)
    return png_with(
        b"".join(png_chunk(b"iTXt", b"k%d\0\1\0\0\0" % number + text) for number in range(texts))
    )


def gif_with_filler(filler: bytes) -> bytes:
    """A GIF with bytes between its header and its picture that say nothing."""
    picture = flat("GIF", 8, 8, "P")
    start = 13 + (3 << (picture[10] & 7) + 1 if picture[10] & 0x80 else 0)
    return picture[:start] + filler + picture[start:]


def bmp_of_run_lengths(width: int, height: int) -> bytes:
    """A BMP in which each pixel is a run of one."""
    rows = (b"\1\5" * width + b"\0\0") * height + b"\0\1"
    start = 14 + 40 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return (
        b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + bytes(1024) + rows
    )


def tiff(entries: list[tuple[int, int, int, int]], data: bytes, header: bytes = b"II*\0") -> bytes:
    """A TIFF whose directory stands behind the data, which begin at its eighth byte.

    Args:
        entries: Tag, type, number of values, and the value or its place.
        data: Of the picture.
        header: Of four bytes; the rest is little-endian.
    """
    items = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    start = struct.pack("<I", 8 + len(data))
    return header + start + data + struct.pack("<H", len(entries)) + items + bytes(4)


def tiff_of_one_tile(side: int, width: int, height: int) -> bytes:
    """A grey TIFF of so many pixels a side, within a tile that may be far larger."""
    packer = zlib.compressobj(9)
    row = bytes(width)
    tile = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    numbers = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1}
    numbers |= {322: width, 323: height, 324: 8, 325: len(tile)}
    return tiff([(tag, 4, 1, value) for tag, value in numbers.items()], tile)


def tiff_read_in_two_ways(values: int) -> bytes:
    """A header of big-endian BigTIFF, of which one reader finds an empty directory.

    Another one takes it for a classic TIFF, and finds as many places of strips as there are values.
    """
    entries = [(256, 1, 100), (257, 1, 100), (258, 1, 8), (259, 1, 1), (262, 1, 1)]
    entries += [(273, values, 32 + 2 + 12 * 9 + 4), (277, 1, 1), (278, 1, 1), (279, 1, 100)]
    header = b"MM\0+" + struct.pack(">IQQ", 32, 16, 0)
    items = b"".join(struct.pack(">HHII", tag, 4, count, value) for tag, count, value in entries)
    directory = struct.pack(">H", len(entries)) + items + bytes(4)
    return header.ljust(32, b"\0") + directory + struct.pack(">I", 8) * values


def boxed(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def with_item(photo: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An HEIC or AVIF of one picture, whose data, the last box, are changed."""
    start = photo.index(b"mdat") + 4
    before, after = photo[start:], change(photo[start:])
    place = photo.index(b"iloc")
    length = photo.index(struct.pack(">I", len(before)), place)
    head = photo[:length] + struct.pack(">I", len(after)) + photo[length + 4 : start - 8]
    return head + boxed(b"mdat", after)


def avif_of_two_sizes(said: int, width: int, height: int) -> bytes:
    """An AVIF whose stream first says that its frames are small, and then that they are not."""
    large = flat("AVIF", width, height, speed=10, quality=10)
    large = large[large.index(b"mdat") + 4 :]
    small = flat("AVIF", said, said, speed=10, quality=10)

    def both(stream: bytes) -> bytes:
        header = stream[stream.index(b"\x0a") :]  # its kind; then come its length and what it says
        return header[: 2 + header[1]] + large

    return with_item(small, both)


def heic_of_two_sizes(said: int, width: int, height: int) -> bytes:
    """An HEIC whose picture brings other parameters along than its container says."""
    large = heic(Image.new("RGB", (width, height)), quality=10)
    parameters, place = [], large.index(b"hvcC") + 4 + 23
    for _ in range(large[place - 1]):
        (count,) = struct.unpack_from(">H", large, place + 1)
        place += 3
        for _ in range(count):
            (size,) = struct.unpack_from(">H", large, place)
            parameters.append(struct.pack(">I", size) + large[place + 2 : place + 2 + size])
            place += 2 + size
    picture = b"".join([*parameters, large[large.index(b"mdat") + 4 :]])
    return with_item(heic(Image.new("RGB", (said, said)), quality=10), lambda _: picture)


def heic_of_large_tiles(said: int, tiles: int, side: int) -> bytes:
    """An HEIC of a few pixels, made of so many tiles a side, each of so many pixels a side."""
    whole = tiles * side
    photo = heic(Image.new("RGB", (whole, whole)), quality=10, tile_size=side)
    size = b"ispe" + bytes(4) + struct.pack(">II", whole, whole)
    grid = bytes([0, 0, tiles - 1, tiles - 1]) + struct.pack(">HH", whole, whole)
    assert size in photo
    assert grid in photo
    photo = photo.replace(size, size[:8] + struct.pack(">II", said, said))
    return photo.replace(grid, grid[:4] + struct.pack(">HH", said, said))


XMP_NAME = b"XML:com.adobe.xmp\0\1\0\0\0"
"""Of a compressed text of a PNG, all before what it says."""


def deflated(size: int) -> bytes:
    """So many spaces."""
    packer = zlib.compressobj(9)
    pieces = [packer.compress(b" " * (1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, packer.flush()])


def tiff_of_a_jpeg(photo: bytes, width: int, height: int) -> bytes:
    """A TIFF of one strip, which is a JPEG."""
    numbers = {256: width, 257: height, 258: 8, 259: 7, 262: 6, 273: 8, 277: 3, 278: height}
    numbers |= {279: len(photo), 530: 2 << 16 | 2}
    entries = [(tag, 4, 1, value) for tag, value in numbers.items() if tag not in (258, 530)]
    photo += bytes(len(photo) % 2) + struct.pack("<HHH", 8, 8, 8)
    entries += [(258, 3, 3, 8 + len(photo) - 6), (530, 3, 2, 2 << 16 | 2)]
    return tiff(entries, photo)
