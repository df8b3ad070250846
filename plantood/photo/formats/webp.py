"""A WebP of a stranger, without its metadata (RFC 9649, section 2).

Its decoder keeps the file twice, and Pillow copies each of its metadata once more.
"""

from __future__ import annotations

import struct

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import exif
from plantood.photo.formats.bare import Bare

MAX_CHUNKS = 2_000
"""A photo has some five."""

_HEADER = 12
_METADATA = frozenset({b"EXIF", b"XMP ", b"ICCP"})
_FLAGS = 0x20 | 0x08 | 0x04
"""Of the extended header: that there is a profile, Exif, XMP."""
_PICTURE = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
_COPIES = 2


def bare(data: bytes) -> Bare:
    """Take the metadata out.

    Raises:
        UnreadablePhoto: It has more pieces than any photo.
    """
    kept, found = [], dict.fromkeys(_METADATA, b"")
    position, end = _HEADER, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            break
        name, size = struct.unpack_from("<4sI", data, position)
        chunk = data[position : min(end, position + 8 + size + size % 2)]
        if name in found:
            found[name] = found[name] or chunk[8 : 8 + size]
        elif name == b"VP8X" and len(chunk) > 8:
            kept.append(chunk[:8] + bytes([chunk[8] & ~_FLAGS]) + chunk[9:])
        elif name in _PICTURE:
            kept.append(chunk)
        position += len(chunk)
    else:
        raise UnreadablePhoto("the file is made of headers without a photo")
    picture = b"".join([b"WEBP", *kept])
    return Bare(
        b"RIFF" + struct.pack("<I", len(picture)) + picture,
        exif.orientation(found[b"EXIF"], found[b"XMP "]),
        memory=_COPIES * len(picture),
    )
