"""A file that is all header: refused before Pillow walks through it.

Pillow reads the segments of a JPEG and the chunks of a PNG one by one in Python, holding the
interpreter's lock. Some megabytes of empty ones are no photo but would keep a process busy for
seconds, so they are counted first, and counting stops at the limit.
"""

from __future__ import annotations

import re

from plantood.errors import UnreadablePhoto

MAX_SEGMENTS = 2_000
"""Segments before the pixels of a JPEG, and tiny chunks in a PNG. Cameras write some twenty; a
large colour profile or a panorama's metadata comes in a few hundred."""

MAX_PADDING = 4_096
"""Bytes between two JPEG segments; the standard allows padding, and cameras write some bytes."""

TINY_CHUNK = 64
"""Bytes. Encoders write the pixels of a PNG in chunks of some thousand."""

_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd8]")
_SCAN, _END = 0xDA, 0xD9


def ensure_few_segments(data: bytes) -> None:
    """Refuse a JPEG or PNG made of countless empty segments; other formats pass.

    Raises:
        UnreadablePhoto: It has more of them than any photo.
    """
    if data.startswith(_JPEG):
        too_many = _jpeg_is_all_header(data)
    elif data.startswith(_PNG):
        too_many = _png_is_all_header(data)
    else:
        return
    if too_many:
        raise UnreadablePhoto("the file is made of headers without a photo")


def _jpeg_is_all_header(data: bytes) -> bool:
    position = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, position, position + MAX_PADDING + 2)
        if not found:
            return len(data) - position > MAX_PADDING
        marker = data[found.start() + 1]
        if marker in (_SCAN, _END):
            return False
        position = found.start() + 2 + max(2, int.from_bytes(data[found.end() : found.end() + 2]))
    return True


def _png_is_all_header(data: bytes) -> bool:
    position, tiny = len(_PNG), 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        tiny += length < TINY_CHUNK
        if tiny > MAX_SEGMENTS:
            return True
        position += 12 + length  # length, type and checksum around the chunk's data
    return False
