"""A WebP of a stranger, without its metadata (RFC 9649, section 2).

Its decoder keeps the file twice, and Pillow copies each of its metadata once more. Of an animation
it is given the first frame alone, which is the one that is judged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import exif, vp8l
from plantood.photo.formats.bare import Bare

MAX_CHUNKS = 2_000
"""A photo has some five."""

_HEADER, _HEADER_OF_FRAME = 12, 16
_METADATA = frozenset({b"EXIF", b"XMP ", b"ICCP"})
_FLAGS = 0x20 | 0x08 | 0x04
"""Of the extended header: that there is a profile, Exif, XMP."""
_LOSSY, _LOSSLESS, _ALPHA = b"VP8 ", b"VP8L", b"ALPH"
_PIXELS = frozenset({_LOSSY, _LOSSLESS, _ALPHA})
_COPIES = 2


def bare(data: bytes) -> Bare:
    """Take the metadata out.

    Raises:
        UnreadablePhoto: It has more pieces than any photo, or two pictures in the place of one.
        PhotoTooLarge: It is put together of more blocks than any photo.
    """
    kept: list[bytes] = []
    found, pixels = dict.fromkeys(_METADATA, b""), dict[bytes, bytes]()
    frame, memory = b"", 0
    whole = data[_HEADER : 8 + int.from_bytes(data[4:8], "little")]
    for name, content, chunk in _chunks(whole):
        if name in found:
            found[name] = found[name] or content
        elif name == b"VP8X" and content:
            kept.append(chunk[:8] + bytes([content[0] & ~_FLAGS]) + chunk[9:])
        elif name == b"ANIM" or name in _PIXELS:
            _keep(pixels, name, content)
            kept.append(chunk)
        elif name == b"ANMF" and not frame:
            frame, memory = _frame(content)
            kept.append(frame)
    if frame and _PIXELS & pixels.keys():
        raise UnreadablePhoto("the WebP can be read in two ways: it has a picture and a film")
    picture = b"".join([b"WEBP", *kept])
    return Bare(
        b"RIFF" + struct.pack("<I", len(picture)) + picture,
        exif.orientation(found[b"EXIF"], found[b"XMP "]),
        memory=_COPIES * len(picture) + _tables(pixels) + memory,
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name of each chunk, what it holds, and all of it; the last one may be cut off."""
    position = 0
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(data):
            return
        name, size = struct.unpack_from("<4sI", data, position)
        chunk = data[position : position + 8 + size + size % 2]
        yield name, chunk[8 : 8 + size], chunk
        position += len(chunk)
    raise UnreadablePhoto("the file is made of headers without a photo")


def _frame(content: bytes) -> tuple[bytes, int]:
    """A frame of an animation with its pixels alone, and bytes that the decoder's tables take."""
    kept, pixels = [content[:_HEADER_OF_FRAME]], dict[bytes, bytes]()
    for name, held, chunk in _chunks(content[_HEADER_OF_FRAME:]):
        if name in _PIXELS:
            _keep(pixels, name, held)
            kept.append(chunk)
    frame = b"".join(kept)
    return b"ANMF" + struct.pack("<I", len(frame)) + frame, _tables(pixels)


def _keep(chunks: dict[bytes, bytes], name: bytes, content: bytes) -> None:
    """Keep one of each; of two, readers may take the first or the last.

    Also of two in different codings: what is transparent belongs to a lossy picture.
    """
    pictures = _PIXELS & {name, *chunks}
    if name in chunks or (_LOSSLESS in pictures and len(pictures) > 1):
        raise UnreadablePhoto("the WebP can be read in two ways: it has a picture twice")
    chunks[name] = content


def _tables(pixels: dict[bytes, bytes]) -> int:
    """Bytes that the decoder's tables take, by the pixels of one picture."""
    memory = vp8l.tables(pixels[_LOSSLESS]) if _LOSSLESS in pixels else 0
    alpha, lossy = pixels.get(_ALPHA, b""), pixels.get(_LOSSY, b"")
    if alpha[:1] and alpha[0] & 3 == 1 and len(lossy) >= 10:  # lossless, without a header
        width, height = struct.unpack_from("<HH", lossy, 6)
        memory += vp8l.tables(alpha[1:], (width & 0x3FFF, height & 0x3FFF))
    return memory
