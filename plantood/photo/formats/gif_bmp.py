"""A GIF or BMP that Pillow would walk through byte by byte: refused before it does.

Pillow reads the blocks of a GIF, and the run lengths of a BMP, in Python, holding the interpreter's
lock. Some megabytes of them are no photo but would keep a process busy for seconds.
"""

from __future__ import annotations

from plantood.errors import UnreadablePhoto

MAX_BLOCKS = 4_000
"""Before the picture of a GIF, in all of its extensions; a large colour profile has 2,000."""

_EXTENSION = 0x21
_PICTURE_OR_END = (0x2C, 0x3B)
_HEADERS = 14, 12
"""Of a BMP: bytes of the file's header, and of the oldest of the picture's, which knows no
compression."""
_PLAIN = (0, 3)
"""Pixels as they are, and these with masks for their colours."""


def ensure_short_gif(data: bytes) -> None:
    """Refuse a GIF made of countless small pieces.

    Raises:
        UnreadablePhoto: It has more of them than any photo, or something else between them.
    """
    if _has_many_blocks(data):
        raise UnreadablePhoto("the file is made of headers without a photo")


def ensure_plain_bmp(data: bytes) -> None:
    """Refuse a BMP with run lengths, which no photo has.

    Raises:
        UnreadablePhoto: It has.
    """
    size = int.from_bytes(data[_HEADERS[0] : _HEADERS[0] + 4], "little")
    if size > _HEADERS[1] and int.from_bytes(data[30:34], "little") not in _PLAIN:
        raise UnreadablePhoto("the BMP is compressed in a way that no photo is")


def _has_many_blocks(data: bytes) -> bool:
    """GIF89a, sections 15 to 27: extensions, each of blocks with a length, then the picture."""
    flags = data[10] if len(data) > 10 else 0
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    is_within = False  # an extension
    for _ in range(MAX_BLOCKS):  # the first and the last of each, which hold nothing, count, too
        if position >= len(data):
            return False
        if is_within:
            size = data[position]
            position += 1 + size
            is_within = size > 0
        elif data[position] == _EXTENSION:
            position += 2
            is_within = True
        else:
            return data[position] not in _PICTURE_OR_END  # Pillow goes on to look for one
    return True
