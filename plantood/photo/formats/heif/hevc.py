"""The pictures inside an item of an HEIC, which need not be one.

A decoder decodes all that are there and hands on the last one: a picture may say of itself that it
is not to be shown. So they are counted, and each slice of one as if it were all of it, since a
slice may begin anew what another has painted. Layout: ITU-T H.265, sections 7.3.1 (units) and 7.3.6
(slices); ISO/IEC 14496-15, section 8.3.3 (what stands before the first unit).
"""

from __future__ import annotations

from plantood.errors import UnreadablePhoto

LENGTH_BYTES = 4
"""Before each unit. Decoders read so many, whatever the file says, and all phones write so many."""
MAX_UNITS = 1_000
_OF_A_PICTURE = 32
"""Types of units below are slices."""


def slices(picture: bytes) -> tuple[int, int]:
    """Walk through the units of an item.

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
        if units > MAX_UNITS:
            raise UnreadablePhoto("the file is made of headers without a photo")
        if _kind(picture[start]) < _OF_A_PICTURE:
            slices += 1
            pictures += picture[start + 2 : position][:1] >= b"\x80"  # its first slice
    if pictures != 1:
        raise UnreadablePhoto("the file is made of pictures without a photo")
    return slices, units


def units_before(record: bytes) -> int:
    """Units that stand before those of each picture.

    Args:
        record: Content of an ``hvcC`` box.

    Raises:
        UnreadablePhoto: There is a picture among them, or it is a record that no phone writes.
        IndexError: It ends too early.
    """
    if record[21] & 3 != LENGTH_BYTES - 1:
        raise UnreadablePhoto("the photo is coded in a way that no phone uses")
    units, position = 0, 23
    for _ in range(record[22]):
        count = int.from_bytes(record[position + 1 : position + 3])
        position += 3
        for _ in range(count):
            size = int.from_bytes(record[position : position + 2])
            if _kind(record[position + 2]) < _OF_A_PICTURE:
                raise UnreadablePhoto("the photo is coded in a way that no phone uses")
            position += 2 + size
            units += 1
    return units


def _kind(first: int) -> int:
    return first >> 1 & 63
