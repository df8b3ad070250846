"""Is all of an HEIC or AVIF there, and no more in it than in a photo?

Both are boxes within boxes (ISO/IEC 14496-12), of which one lists where in the file the pieces of
each picture lie (ISO/IEC 23008-12). A phone's photo is made of many tiles, and a decoder paints
those that are missing in some colour and says nothing. So the list is compared with the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import av1, exif

MAX_BOXES = 1_000
"""On one level; a photo has some ten."""
MAX_ITEMS = 4_000
"""Tiles, thumbnails and metadata; 200 megapixels in tiles of 512 pixels are 768."""
MAX_METADATA = 16 << 20
"""Bytes of metadata in all, counted once for each picture that they belong to."""

_METADATA = (b"Exif", b"mime", b"uri ")
_PICTURES = (b"hvc1", b"hev1", b"av01", b"grid", b"iden", b"iovl")
"""HEVC and AV1, and what is put together of them: tiles, a turned picture, an overlay."""

Types: TypeAlias = dict[int, bytes]
"""Of each item its type."""
Places: TypeAlias = dict[int, list[tuple[int, int, int]]]
"""Of each item its pieces: start, stop, and how far the part goes that holds it."""
Reference: TypeAlias = tuple[bytes, int, list[int]]


@dataclass(frozen=True)
class Box:
    """One box: its type, and where its content lies."""

    type: bytes
    start: int
    end: int


def ensure_whole(data: bytes) -> int:
    """Refuse a file of which a part is missing, or that is made of metadata, or of odd pictures.

    Returns:
        Pixels of the largest AV1 picture in it, by itself and not by its container; 0 if there is
        none. (An HEIC whose pictures are larger than said is refused by its decoder.)

    Raises:
        UnreadablePhoto: It is.
    """
    try:
        return _ensure_whole(data)
    except (struct.error, IndexError) as error:
        raise UnreadablePhoto("the photo's list of contents is broken") from error


def _ensure_whole(data: bytes) -> int:
    # what follows behind the list is none of its boxes in some phones' files
    meta = next((box for box in _boxes(data, 0, len(data)) if box.type == b"meta"), None)
    if meta is None:
        return 0
    inner = {box.type: box for box in _boxes(data, meta.start + 4, meta.end)}
    if not {b"iloc", b"iinf", b"pitm"} <= inner.keys():
        return 0  # its decoder will refuse it
    places = _places(data, inner[b"iloc"], inner.get(b"idat", Box(b"idat", 0, 0)))
    if any(stop > end for pieces in places.values() for _, stop, end in pieces):
        raise UnreadablePhoto("the photo broke off: parts are missing; send it again")
    types = _types(data, inner[b"iinf"])
    references = _references(data, inner[b"iref"]) if b"iref" in inner else []
    _ensure_usual(_primary(data, inner[b"pitm"]), types, references)
    _ensure_modest(data, types, places, references)
    streams = (
        data[start : min(stop, start + av1.LOOK_AT)]
        for item, pieces in places.items()
        if types.get(item) == b"av01"
        for start, stop, _ in pieces[:1]
    )
    sizes = [av1.frame_size(stream) for stream in streams]
    return max((width * height for width, height in sizes), default=0)


def _ensure_usual(primary: int, types: Types, references: list[Reference]) -> None:
    """Refuse a photo that is coded, or put together, as no phone does.

    Decoders know many more ways, each with faults of its own, and are never asked for them.
    """
    wanted, seen = [primary], set()
    while wanted:
        item = wanted.pop()
        if item in seen:
            continue
        seen.add(item)
        if types.get(item) not in _PICTURES:
            raise UnreadablePhoto("the photo is coded in a way that no phone uses")
        wanted += [
            to for kind, of, tos in references if kind == b"dimg" and of == item for to in tos
        ]


def _ensure_modest(data: bytes, types: Types, places: Places, references: list[Reference]) -> None:
    """Refuse a file whose metadata would be read again and again, or claim to be more."""
    belongs_to: dict[int, int] = {}
    for kind, item, pictures in references:
        if kind == b"cdsc":
            belongs_to[item] = belongs_to.get(item, 0) + len(pictures)
    total = 0
    for item, pieces in places.items():
        if types.get(item) not in _METADATA:
            continue
        size = sum(stop - start for start, stop, _ in pieces)
        total += size * max(1, belongs_to.get(item, 1))
        if total > MAX_METADATA:
            raise UnreadablePhoto("the file is made of metadata without a photo")
        if types[item] == b"Exif":
            content = b"".join(data[start:stop] for start, stop, _ in pieces)
            exif.ensure_modest(content[4 + int.from_bytes(content[:4]) :])


def _boxes(data: bytes, position: int, end: int, most: int = MAX_BOXES) -> Iterator[Box]:
    """The boxes in a part of the file.

    Raises:
        UnreadablePhoto: One passes the end, or there are too many.
    """
    for _ in range(most):
        if position + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = end if size == 0 else position + size
        if stop > end or stop < start:
            raise UnreadablePhoto("the photo broke off: parts are missing; send it again")
        yield Box(kind, start, stop)
        position = stop
    raise UnreadablePhoto("the file is made of boxes without a photo")


def _places(data: bytes, box: Box, idat: Box) -> Places:
    """Of each item its pieces: start, stop, and how far the part goes that holds it (8.11.3)."""
    reader = _Reader(data, box)
    version = reader.number(1)
    reader.number(3)
    sizes = reader.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    wide = 4 if version == 2 else 2
    places: Places = {}
    count = 0
    for _ in range(_few(reader.number(wide))):
        item = reader.number(wide)
        in_idat = version in (1, 2) and reader.number(2) & 15 == 1
        reader.number(2)
        base = reader.number(base_size) + (idat.start if in_idat else 0)
        pieces = reader.number(2)
        count = _few(count + pieces)
        places[item] = []
        for _ in range(pieces):
            reader.number(index_size)
            start = base + reader.number(offset_size)
            stop = start + reader.number(length_size)
            places[item].append((start, stop, idat.end if in_idat else len(data)))
    return places


def _types(data: bytes, box: Box) -> Types:
    """Of each item its type (section 8.11.6)."""
    version = data[box.start]
    start = box.start + (6 if version == 0 else 8)
    types = {}
    for entry in _boxes(data, start, box.end, MAX_ITEMS):
        reader = _Reader(data, entry)
        entry_version = reader.number(1)
        reader.number(3)
        item = reader.number(4 if entry_version == 3 else 2)
        reader.number(2)
        types[item] = reader.number(4).to_bytes(4)
    return types


def _primary(data: bytes, box: Box) -> int:
    """The item that is the photo (section 8.11.4)."""
    reader = _Reader(data, box)
    version = reader.number(1)
    reader.number(3)
    return reader.number(4 if version else 2)


def _references(data: bytes, box: Box) -> list[Reference]:
    """Kind of each reference, the item it is of, and the items it is to (section 8.11.12)."""
    wide = 4 if data[box.start] else 2
    references, count = [], 0
    for entry in _boxes(data, box.start + 4, box.end, MAX_ITEMS):
        reader = _Reader(data, entry)
        item, to = reader.number(wide), reader.number(2)
        count = _few(count + to)
        references.append((entry.type, item, [reader.number(wide) for _ in range(to)]))
    return references


def _few(count: int) -> int:
    if count > MAX_ITEMS:
        raise UnreadablePhoto("the file is made of parts without a photo")
    return count


class _Reader:
    """Reads numbers, most significant byte first, one after the other."""

    def __init__(self, data: bytes, box: Box) -> None:
        self._data, self._position, self._end = data, box.start, box.end

    def number(self, size: int) -> int:
        position = self._position
        if position + size > self._end:
            raise IndexError("behind the end of a box")
        self._position += size
        return int.from_bytes(self._data[position : position + size])
