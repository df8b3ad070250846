"""A photo without what its camera wrote about place, time and owner, pixels untouched.

JPEG and PNG are taken apart and put together again without decoding anything. Only what is
needed to show the pixels stays, so that no kind of metadata can be forgotten: of a JPEG, its
tables, frames and scans (ITU-T T.81, annex B), the JFIF and Adobe segments, which say what the
numbers mean, and the colour profile; of a PNG, the chunks of :data:`PNG_CHUNKS` (W3C PNG, third
edition, section 11). How the photo is to be turned is written anew, alone. What follows behind
the photo goes too: there cameras put second pictures and videos with metadata of their own.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO

from PIL import Image

from plantood.photo.formats import exif, jpeg, png
from plantood.photo.images import Limits, load_image

PNG_CHUNKS = frozenset(
    png.PICTURE | {b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD", b"pHYs"}
)
"""Needed to show the pixels of a PNG. Text, time, EXIF and unknown chunks are not."""

RESAVED_SIDE = 1024
"""Photos of other formats are saved anew, at about this shorter side at least, in pixels."""
RESAVED_QUALITY = 95

_APP2 = 0xE2
_APP0_HEADER = b"\xff\xe0\x00\x10"


def without_metadata(photo: bytes, limits: Limits | None = None) -> tuple[bytes, str]:
    """A photo without metadata.

    Args:
        photo: A file that :func:`plantood.photo.images.load_image` can read.
        limits: Bounds on bytes and pixels, for formats that have to be decoded.

    Returns:
        The file, and the ending of its name: ``.jpg`` or ``.png``. JPEG and PNG keep every pixel;
        other formats are decoded, reduced and saved as JPEG.

    Raises:
        UnreadablePhoto: It cannot be decoded, but would have to be.
        ValueError: It is damaged.
    """
    if photo.startswith(jpeg.START_OF_IMAGE):
        return _jpeg(photo), ".jpg"
    if photo.startswith(png.SIGNATURE):
        return _png(photo), ".png"
    image = load_image(photo, replace(limits or Limits(), shorter_side=RESAVED_SIDE))
    saved = BytesIO()
    Image.fromarray(image.pixels).save(saved, "JPEG", quality=RESAVED_QUALITY, subsampling=0)
    return saved.getvalue(), ".jpg"


def _jpeg(photo: bytes) -> bytes:
    """Tables, frames and scans; everything up to the first end of image."""
    kept = [jpeg.START_OF_IMAGE]
    if orientation := _turned(jpeg.read(photo).orientation):
        turned = b"Exif\0\0" + orientation
        kept.append(b"\xff\xe1" + struct.pack(">H", 2 + len(turned)) + turned)
    end, in_scan = len(jpeg.START_OF_IMAGE), False
    for marker, position, content in jpeg.segments(photo):
        if in_scan:
            kept.append(photo[end:position])  # entropy-coded data
        if marker == jpeg.END:
            break
        end = position + 4 + len(content)
        in_scan = marker == jpeg.SCAN
        if marker == jpeg.APP0 and content.startswith(b"JFIF\0") and len(content) >= 14:
            kept.append(_APP0_HEADER + content[:12] + bytes(2))  # without its thumbnail
        elif _is_needed(marker, content):
            kept.append(photo[position:end])
    else:
        if not in_scan:
            raise ValueError("the JPEG has no scan")
        kept.append(photo[end:].rstrip(b"\0"))  # complete, but for its end marker
    return b"".join(kept) + jpeg.END_OF_IMAGE


def _is_needed(marker: int, content: bytes) -> bool:
    if 0xC0 <= marker <= 0xDF:  # frames, tables, scans, restart interval
        return True
    return (marker == jpeg.APP14 and content.startswith(b"Adobe")) or (
        marker == _APP2 and content.startswith(b"ICC_PROFILE\0")
    )


def _png(photo: bytes) -> bytes:
    taken_apart = png.read(photo)
    if not taken_apart.is_whole:
        raise ValueError("the PNG broke off")
    return taken_apart.with_chunks(PNG_CHUNKS, _turned(taken_apart.orientation))


def _turned(orientation: int) -> bytes:
    """Exif data with the orientation alone; empty if the photo is upright.

    A TIFF header, and one directory with one entry: tag, type SHORT, count 1, value.
    """
    if orientation == 1:
        return b""
    entry = struct.pack(">HHIHH", exif.ORIENTATION_TAG, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
