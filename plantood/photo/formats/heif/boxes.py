"""The lists of an HEIC or AVIF: which pictures it holds, where, and how large they say they are.

Both are boxes within boxes (ISO/IEC 14496-12, whose sections are named here); what the items are is
in ISO/IEC 23008-12. A list that names one item twice is refused: readers differ on which they take.

Lists lie within lists. What is counted is counted over all of them, while they are walked through:
bounds for each list alone would multiply.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from plantood.errors import UnreadablePhoto

MAX_BOXES = 1_000
"""On one level; a photo has some ten."""
MAX_ITEMS = 4_000
"""Tiles, thumbnails and metadata; 200 megapixels in tiles of 512 pixels are 768."""
MAX_ASSOCIATIONS = 8 * MAX_ITEMS
"""Of items and properties, in all; a tile has two to four, a photo up to ten."""

Types: TypeAlias = dict[int, tuple[bytes, int]]
"""Of each item its type, and where in the file that stands."""
Places: TypeAlias = dict[int, list[tuple[int, int, int]]]
"""Of each item its pieces: start, stop, and how far the part goes that holds it."""
Reference: TypeAlias = tuple[bytes, int, list[int]]
Sizes: TypeAlias = dict[int, int]
"""Of each picture its pixels, as the file says."""


@dataclass(frozen=True)
class Box:
    """One box: its type, and where its content lies."""

    type: bytes
    start: int
    end: int


def boxes_in(data: bytes, position: int, end: int, most: int = MAX_BOXES) -> Iterator[Box]:
    """The boxes in a part of the file.

    Args:
        data: The file.
        position: Where the first one begins, in bytes.
        end: Where the part ends; at most the file's length.
        most: Boxes in it.

    Raises:
        UnreadablePhoto: One passes the end, or there are too many.
        struct.error: The file ends within the head of one.
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


def places(data: bytes, box: Box, idat: Box) -> Places:
    """Of each item its pieces: start, stop, and how far the part goes that holds it (8.11.3).

    Args:
        data: The file.
        box: Its ``iloc``.
        idat: The part in which items may lie instead of the file, empty where there is none.

    Returns:
        As the file says: a piece may pass the end of its part.

    Raises:
        UnreadablePhoto: An item is there twice, lies in another way, or there are too many.
        IndexError: The list ends in the middle of an entry.
    """
    reader = _Reader(data, box)
    version = reader.number(1)
    reader.number(3)
    sizes = reader.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    wide = 4 if version == 2 else 2
    found: Places = {}
    count = 0
    for _ in range(_few(reader.number(wide))):
        item = reader.number(wide)
        way = reader.number(2) & 15 if version in (1, 2) else 0
        in_idat = way == 1
        if item in found or way > 1 or reader.number(2):
            raise UnreadablePhoto("the photo's parts lie where no phone puts them")
        base = reader.number(base_size) + (idat.start if in_idat else 0)
        pieces = reader.number(2)
        count = _few(count + pieces)
        found[item] = []
        for _ in range(pieces):
            reader.number(index_size)
            start = base + reader.number(offset_size)
            stop = start + reader.number(length_size)
            found[item].append((start, stop, idat.end if in_idat else len(data)))
    return found


def types(data: bytes, box: Box) -> Types:
    """Of each item its type, and where that stands (section 8.11.6).

    Args:
        data: The file.
        box: Its ``iinf``.

    Raises:
        UnreadablePhoto: An item is there twice, or as of :func:`boxes_in`.
        IndexError: The list, or an entry, ends too early.
    """
    version = data[box.start]
    start = box.start + (6 if version == 0 else 8)
    found: Types = {}
    for entry in boxes_in(data, start, box.end, MAX_ITEMS):
        reader = _Reader(data, entry)
        entry_version = reader.number(1)
        reader.number(3)
        item = reader.number(4 if entry_version == 3 else 2)
        reader.number(2)
        if item in found:
            raise UnreadablePhoto("the photo has two lists of its contents")
        found[item] = reader.number(4).to_bytes(4), reader.position - 4
    return found


def primary(data: bytes, box: Box) -> int:
    """The item that is the photo (section 8.11.4).

    Args:
        data: The file.
        box: Its ``pitm``.

    Raises:
        IndexError: It is empty.
    """
    reader = _Reader(data, box)
    version = reader.number(1)
    reader.number(3)
    return reader.number(4 if version else 2)


def references(data: bytes, box: Box) -> list[Reference]:
    """Kind of each reference, the item it is of, and the items it is to (section 8.11.12).

    Args:
        data: The file.
        box: Its ``iref``.

    Raises:
        UnreadablePhoto: There are too many, or as of :func:`boxes_in`.
        IndexError: The list ends in the middle of an entry.
    """
    wide = 4 if data[box.start] else 2
    found: list[Reference] = []
    count = 0
    for entry in boxes_in(data, box.start + 4, box.end, MAX_ITEMS):
        reader = _Reader(data, entry)
        item, to = reader.number(wide), reader.number(2)
        count = _few(count + to)
        found.append((entry.type, item, [reader.number(wide) for _ in range(to)]))
    return found


def properties(data: bytes, box: Box) -> list[Box]:
    """All properties, in their order, whosever they are (section 8.11.14).

    Args:
        data: The file.
        box: Its ``iprp``.

    Raises:
        UnreadablePhoto: There are two lists of them, too many, or as of :func:`boxes_in`.
    """
    lists = [part for part in boxes_in(data, box.start, box.end) if part.type == b"ipco"]
    if len(lists) > 1:
        raise UnreadablePhoto("the photo has two lists of its contents")
    return [found for part in lists for found in boxes_in(data, part.start, part.end, MAX_ITEMS)]


def sizes(data: bytes, box: Box, properties: list[Box]) -> Sizes:
    """Pixels of each picture, the most that are said (section 8.11.14).

    The size is in ISO/IEC 23008-12, section 6.5.3.

    Args:
        data: The file.
        box: Its ``iprp``.
        properties: As of :func:`properties`, to which the items are associated.

    Raises:
        UnreadablePhoto: There are too many, or as of :func:`boxes_in`.
        IndexError: A property or an association ends too early, or is of none that there is.
    """
    pixels = [0]
    pixels += [_area(_Reader(data, one)) if one.type == b"ispe" else 0 for one in properties]
    found: Sizes = {}
    items = associations = 0
    for part in boxes_in(data, box.start, box.end):
        if part.type != b"ipma":
            continue
        reader = _Reader(data, part)
        version, flags = reader.number(1), reader.number(3)
        wide, bits = (2, 15) if flags & 1 else (1, 7)
        count = reader.number(4)
        items = _few(items + count)
        for _ in range(count):
            item = reader.number(4 if version else 2)
            each = reader.number(1)
            associations = _few(associations + each, MAX_ASSOCIATIONS)
            for _ in range(each):
                index = reader.number(wide) & (1 << bits) - 1
                found[item] = max(found.get(item, 0), pixels[index])
    return found


def _area(reader: _Reader) -> int:
    reader.number(4)
    return reader.number(4) * reader.number(4)


def _few(count: int, most: int = MAX_ITEMS) -> int:
    if count > most:
        raise UnreadablePhoto("the file is made of parts without a photo")
    return count


class _Reader:
    """Reads numbers, most significant byte first, one after the other."""

    def __init__(self, data: bytes, box: Box) -> None:
        self._data, self._position, self._end = data, box.start, box.end

    @property
    def position(self) -> int:
        return self._position

    def number(self, size: int) -> int:
        position = self._position
        if position + size > self._end:
            raise IndexError("behind the end of a box")
        self._position += size
        return int.from_bytes(self._data[position : position + size])
