"""The pictures inside an item of an HEIC, which need not be one.

A decoder decodes all that are there and hands on the last one: a picture may say of itself that it
is not to be shown. So they are counted, and each slice of one as if it were all of it, since a
slice may begin anew what another has painted. Layout: ITU-T H.265, sections 7.3.1 (units) and 7.3.6
(slices); ISO/IEC 14496-15, section 8.3.3 (what stands before the first unit).
"""

from __future__ import annotations

from collections.abc import Iterable

from plantood.errors import UnreadablePhoto

LENGTH_BYTES = 4
"""Before each unit. Decoders read so many, whatever the file says, and all phones write so many."""
MAX_UNITS = 1_000
"""Of an item, and of what stands before all of them; a tile has one to six, a photo some ten."""
_OF_A_PICTURE = 32
"""Types of units below are slices."""


def slices(picture: bytes, most: int = MAX_UNITS) -> tuple[int, int]:
    """Walk through the units of an item.

    Args:
        picture: All of its bytes.
        most: Units that it may have.

    Returns:
        Slices of the one picture, and units in all.

    Raises:
        UnreadablePhoto: It is not one picture.
    """
    pictures = slices = units = position = 0
    while position < len(picture):
        start = position + LENGTH_BYTES
        position = start + int.from_bytes(picture[position:start])
        if position > len(picture) or position < start + 2:
            raise UnreadablePhoto("the photo broke off: parts are missing; send it again")
        units += 1
        if units > most:
            raise UnreadablePhoto("the file is made of headers without a photo")
        if _kind(picture[start]) < _OF_A_PICTURE:
            slices += 1
            pictures += picture[start + 2 : position][:1] >= b"\x80"  # its first slice
    if pictures != 1:
        raise UnreadablePhoto("the file is made of pictures without a photo")
    return slices, units


def units_before(records: Iterable[bytes]) -> int:
    """Units that stand before those of each picture, at most.

    Args:
        records: Contents of all ``hvcC`` boxes.

    Raises:
        UnreadablePhoto: There is a picture among them, one is a record that no phone writes, or
            there are too many.
        IndexError: One ends too early.
    """
    largest, left = 0, MAX_UNITS
    for record in records:
        if record[21] & 3 != LENGTH_BYTES - 1:
            raise UnreadablePhoto("the photo is coded in a way that no phone uses")
        units, arrays, position = 0, record[22], 23
        left -= 1 + arrays
        for _ in range(arrays):
            count = int.from_bytes(record[position + 1 : position + 3])
            position += 3
            left -= count
            if left < 0:
                raise UnreadablePhoto("the file is made of headers without a photo")
            for _ in range(count):
                size = int.from_bytes(record[position : position + 2])
                if _kind(record[position + 2]) < _OF_A_PICTURE:
                    raise UnreadablePhoto("the photo is coded in a way that no phone uses")
                position += 2 + size
                units += 1
        largest = max(largest, units)
    return largest


def _kind(first: int) -> int:
    return first >> 1 & 63
