"""A PNG of a stranger, taken apart into chunks (W3C PNG, third edition, sections 5.3 and 11).

Pillow inflates each text in it, to 64 million characters in all, and keeps them; a file of half a
megabyte takes 260 MB. It reads chunks one by one in Python, too. So it is given the chunks that
make the picture, and no others.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import exif

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
"""What a decoder needs, beside the end."""

MAX_CHUNKS = 2_000
"""Chunks beyond one for each `USUAL_CHUNK` bytes."""
USUAL_CHUNK = 2_048
"""Bytes. Encoders write the pixels of a PNG in chunks of 4,096 and more."""

_MAX_TEXT = 1 << 20
"""Bytes of a text in which an orientation is looked for, inflated."""
_XMP = b"XML:com.adobe.xmp\0"
_RAW_EXIF = b"Raw profile type exif\0"
"""The names under which XMP is kept, and Exif by ImageMagick."""


@dataclass(frozen=True)
class Png:
    """A PNG in pieces.

    Attributes:
        chunks: The name of each chunk and all of its bytes, up to the end; the last one may be cut
            off.
    """

    chunks: list[tuple[bytes, bytes]]

    @property
    def is_whole(self) -> bool:
        """Whether it has pixels, and no chunk of its picture is cut off; the end may be missing."""
        picture = [(name, chunk) for name, chunk in self.chunks if name in PICTURE]
        return any(name == b"IDAT" for name, _ in picture) and all(
            len(chunk) == 12 + int.from_bytes(chunk[:4]) for _, chunk in picture
        )

    @property
    def orientation(self) -> int:
        """How it is to be turned, 1 to 8: by Exif, else by XMP, wherever they stand."""
        found: dict[bytes, bytes] = {}  # only the first of each counts, whatever it is
        for name, chunk in self.chunks:
            content = chunk[8:-4]
            if name == b"eXIf":
                found.setdefault(name, content)
            elif name in (b"tEXt", b"zTXt") and content.startswith(_RAW_EXIF):
                if _RAW_EXIF not in found:
                    found[_RAW_EXIF] = exif.raw_profile(_text(name, content).decode("latin-1"))
            elif name == b"iTXt" and content.startswith(_XMP) and _XMP not in found:
                found[_XMP] = _text(name, content)
        written = found.get(b"eXIf") or found.get(_RAW_EXIF, b"")
        return exif.orientation(written, found.get(_XMP, b""))

    def with_chunks(self, names: Iterable[bytes], orientation: bytes = b"") -> bytes:
        """A file of some of the chunks, and of Exif before the pixels, if there is any."""
        kept = [(name, chunk) for name, chunk in self.chunks if name in names]
        if orientation:
            first = next((i for i, (name, _) in enumerate(kept) if name == b"IDAT"), len(kept))
            kept.insert(first, (b"eXIf", _chunk(b"eXIf", orientation)))
        return b"".join([SIGNATURE, *(chunk for _, chunk in kept), _chunk(b"IEND", b"")])


def read(data: bytes) -> Png:
    """Take a PNG apart; nothing of it is decoded.

    Raises:
        UnreadablePhoto: It has more chunks than any photo, or what stands there is none.
    """
    chunks: list[tuple[bytes, bytes]] = []
    position = len(SIGNATURE)
    limit = MAX_CHUNKS + len(data) // USUAL_CHUNK
    while position + 8 <= len(data):
        if len(chunks) == limit:
            raise UnreadablePhoto("the file is made of headers without a photo")
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"IEND":
            break
        if not name.isalpha():
            raise UnreadablePhoto("the PNG is damaged; send it again")
        chunks.append((name, data[position : position + 12 + length]))
        position += 12 + length
    return Png(chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _text(name: bytes, content: bytes) -> bytes:
    """What a text says, up to `_MAX_TEXT` bytes of it; empty if it is broken (section 11.3.3)."""
    text = content.partition(b"\0")[2]
    deflated = name == b"zTXt"
    if name == b"iTXt":
        deflated = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]  # behind language and translated name
    elif deflated:
        text = text[1:]
    if deflated:
        with suppress(zlib.error):
            return zlib.decompressobj().decompress(text, _MAX_TEXT)
        return b""
    return text[:_MAX_TEXT]
