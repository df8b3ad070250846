"""A file that is all header: refused before Pillow walks through it.

Pillow reads the chunks of a PNG and the blocks of a GIF one by one in Python, holding the
interpreter's lock. Some megabytes of nearly empty ones are no photo but would keep a process busy
for seconds, so they are counted first, and counting stops at the limit.
"""

from __future__ import annotations

from plantood.errors import UnreadablePhoto

MAX_SEGMENTS = 2_000
"""Chunks of a PNG beyond one for each `USUAL_CHUNK` bytes; blocks of a GIF before its picture."""

USUAL_CHUNK = 2_048
"""Bytes. Encoders write the pixels of a PNG in chunks of 4,096 and more."""

PNG = b"\x89PNG\r\n\x1a\n"
GIF = (b"GIF87a", b"GIF89a")
_EXTENSION = 0x21


def ensure_few_segments(data: bytes) -> None:
    """Refuse a PNG or GIF made of countless small pieces; other formats pass.

    Raises:
        UnreadablePhoto: It has more of them than any photo.
    """
    if data.startswith(PNG):
        too_many = _has_many_chunks(data)
    elif data.startswith(GIF):
        too_many = _has_many_blocks(data)
    else:
        return
    if too_many:
        raise UnreadablePhoto("the file is made of headers without a photo")


def _has_many_chunks(data: bytes) -> bool:
    """PNG, third edition, section 5.3: length, type, content and checksum."""
    position, chunks = len(PNG), 0
    limit = MAX_SEGMENTS + len(data) // USUAL_CHUNK
    while position < len(data) and chunks <= limit:
        chunks += 1
        position += 12 + int.from_bytes(data[position : position + 4])
    return chunks > limit


def _has_many_blocks(data: bytes) -> bool:
    """GIF89a, sections 15 to 27: extensions, each of blocks with a length, then the picture."""
    flags = data[10] if len(data) > 10 else 0
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    for _ in range(MAX_SEGMENTS):
        if position >= len(data) or data[position] != _EXTENSION:
            return False
        position += 2
        for _ in range(MAX_SEGMENTS):
            size = data[position] if position < len(data) else 0
            position += 1 + size
            if not size:
                break
        else:
            return True
    return True
