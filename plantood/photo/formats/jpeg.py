"""A JPEG of a stranger: what its header says, whether all of it is there, and its pixels.

libjpeg fills the part of a broken upload that never arrived with grey and only warns, and most
readers, Pillow among them, show the warning to nobody. TurboJPEG, here by `simplejpeg`, can make it
an error. Its pixels are Pillow's, in two thirds of the time.

The decoder never sees metadata: it is given the tables, frames and scans alone (ITU-T T.81, annex
B), and the two segments that say what the numbers mean (JFIF, Adobe).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import exif

START_OF_IMAGE = b"\xff\xd8"
END_OF_IMAGE = b"\xff\xd9"
SCAN, END, APP0, APP14 = 0xDA, 0xD9, 0xE0, 0xEE
"""Markers, by their second byte."""
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SEQUENTIAL = frozenset({0xC0, 0xC1})
"""Markers of frames: all of them, and those of Huffman-coded scans that each are complete."""
MAX_SEGMENTS = 2_000
"""Before the pixels. Cameras write some twenty; a large colour profile or a panorama's metadata
comes in a few hundred."""
MAX_PADDING = 4_096
"""Bytes between two segments; the standard allows padding, and cameras write some bytes."""
MAX_SCANS = 100
"""A usual progressive file has about ten scans."""
MAX_SCANNED_PIXELS = 800_000_000
"""Pixels times scans: each scan of a progressive file goes over all of its pixels, also if there is
nothing in it. A file of 200 kB could take four seconds; at this bound it is at most one, where all
scans are of four colours."""
MAX_STRAY_BYTES = 64
"""In front of the end marker, where some phones pad. More of them mean that the decoder lost its
way before."""

_BYTES_A_PIXEL = 7
"""3 as they come out of the decoder, and 4 in Pillow."""

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_HEADER_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd8]")
_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_APP1 = 0xE1
_DECODED = SEQUENTIAL | {0xC2}
"""And progressive, all with Huffman codes. With arithmetic ones, which no camera writes, a scan of
ten bytes can take a tenth of a second."""
_ALONE = 0x01
"""A marker without a segment, beside those of restarts and of start and end."""
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1"
"""The beginning of JFIF's segment, in a revision that the decoder knows."""
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ZERO_TAIL = 16


@dataclass(frozen=True)
class Jpeg:
    """A JPEG whose header was read, without its metadata.

    Attributes:
        data: What the decoder is given, with an end marker.
        width: As stored, in pixels.
        height: As stored, in pixels.
        orientation: How it is to be turned, 1 to 8.
        coefficients: Numbers that the decoder must keep for the whole picture; 0 if it works row
            by row.
    """

    data: bytes
    width: int
    height: int
    orientation: int
    coefficients: int

    def memory(self, factor: int = 1) -> int:
        """Bytes that decoding takes, with the pixels that come out; argument as of `decode`."""
        scale = _scale(factor)
        pixels = -(-self.width // scale) * -(-self.height // scale)
        return len(self.data) + 2 * self.coefficients + _BYTES_A_PIXEL * pixels

    def decode(self, factor: int = 1) -> NDArray[np.uint8]:
        """Decode, at a reduced scale if that is wanted.

        Args:
            factor: By how much both sides are reduced at most; the decoder knows 1, 2, 4 and 8.

        Returns:
            uint8 RGB ``[ceil(height / f), ceil(width / f), 3]``, f the largest of these.

        Raises:
            UnreadablePhoto: Part of it is missing or damaged.
        """
        scale = _scale(factor)
        decode: Callable[..., NDArray[np.uint8]] = functools.partial(
            simplejpeg.decode_jpeg,
            self.data,
            "RGB",
            min_height=-(-self.height // scale),
            min_width=-(-self.width // scale),
            min_factor=1,
        )
        try:
            return decode(strict=True)
        except Exception as error:
            stray = _STRAY.search(str(error))
            if "remature end" in str(error):
                raise UnreadablePhoto(
                    "the JPEG broke off: its last rows are missing; send it again"
                ) from error
            if not stray or int(stray[1]) > MAX_STRAY_BYTES:
                raise UnreadablePhoto(f"the JPEG is damaged ({error}); send it again") from error
        return decode(strict=False)


def read(data: bytes) -> Jpeg:
    """Read the header of a JPEG.

    Args:
        data: A file that begins with a JPEG; bytes behind its end marker do not matter.

    Raises:
        UnreadablePhoto: It is no photo, part of its header is missing, or it would take far longer
            to decode than any photo.
    """
    kept, adobe, frame, exif_data, xmp = [START_OF_IMAGE], b"", b"", b"", b""
    sequential = True
    for marker, start, segment in header(data):
        if marker == SCAN:
            break
        if marker in FRAMES and not frame:
            _ensure_decoded(marker)
            frame, sequential = segment, marker in SEQUENTIAL
        if 0xC0 <= marker <= 0xDF:  # frames, tables, restart interval
            kept.append(data[start : start + 4 + len(segment)])
        elif marker == APP0 and segment.startswith(b"JFIF\0") and len(segment) >= 14:
            kept.append(_JFIF + segment[7:12] + b"\0\0")
        elif marker == APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe = segment
        elif marker == _APP1 and segment.startswith(b"Exif\0\0"):
            exif_data = exif_data or segment
        elif marker == _APP1 and segment.startswith(_XMP):
            xmp = xmp or segment
    if len(frame) < 6 or not frame[5] or len(frame) < 6 + 3 * frame[5]:
        raise UnreadablePhoto("the JPEG has no frame")
    if adobe:
        kept.insert(1, _adobe(adobe, frame[5]))
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    in_one_scan = sequential and bool(segment) and frame[5] <= segment[0]
    scans = 1 if in_one_scan else data.count(b"\xff\xda", start)
    if scans > MAX_SCANS or scans * width * height > MAX_SCANNED_PIXELS:
        raise UnreadablePhoto(f"the JPEG has {scans} scans, too many for its size")
    if not in_one_scan:
        _ensure_all_scans(data[start:], frame, sequential)
    return Jpeg(
        b"".join([*kept, _with_end(data[start:])]),
        width,
        height,
        exif.orientation(exif_data, xmp),
        0 if in_one_scan else _samples(frame, width, height),
    )


def segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker, its index, and what its segment holds, one after the other.

    Restart markers are part of the entropy-coded data between the segments.

    Raises:
        UnreadablePhoto: There are more than of any photo.
    """
    position = len(START_OF_IMAGE)
    for _ in range(2 * MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if not found:
            return
        segment = _segment(data, found.start())
        yield data[found.start() + 1], found.start(), segment
        position = _behind(data, found.start(), segment)
    raise UnreadablePhoto("the file is made of headers without a photo")


def header(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """As :func:`segments`, up to the first scan, which must be there, with little in between.

    Raises:
        UnreadablePhoto: It is not, or there is more before it than in any photo.
    """
    position = len(START_OF_IMAGE)
    for _ in range(MAX_SEGMENTS):
        found = _HEADER_MARKER.search(data, position, position + MAX_PADDING + 2)
        if not found and len(data) - position > MAX_PADDING:
            break
        start = found.start() if found else len(data)
        if not found or data[start + 1] == END or len(data) <= start + 4:
            raise UnreadablePhoto("the JPEG broke off within its header; send it again")
        marker, segment = data[start + 1], _segment(data, start)
        yield marker, start, segment
        if marker == SCAN:
            return
        position = _behind(data, start, segment)
    raise UnreadablePhoto("the file is made of headers without a photo")


def _ensure_decoded(frame: int) -> None:
    if frame not in _DECODED:
        raise UnreadablePhoto("the JPEG is compressed in a way that no photo is")


def _ensure_all_scans(scans: bytes, frame: bytes, sequential: bool) -> None:
    """Refuse a file that ends between two scans: it is a whole picture, only a coarse one.

    A sequential file has a scan of each component. A progressive one has each coefficient of each
    of them down to its last bit (T.81, G.1.1.1).

    Raises:
        UnreadablePhoto: Scans are missing.
    """
    lacking = {id: dict.fromkeys(range(64), 1) for id in frame[6 : 6 + 3 * frame[5] : 3]}
    for marker, _, scan in segments(START_OF_IMAGE + scans):
        if marker == END:
            break
        if marker != SCAN or not scan or len(scan) < 4 + 2 * scan[0]:
            continue
        first, last, bits = (0, 63, 0) if sequential else scan[1 + 2 * scan[0] :][:3]
        for id in scan[1 : 1 + 2 * scan[0] : 2]:
            lacking.get(id, {}).update(dict.fromkeys(range(first, min(last, 63) + 1), bits & 15))
    if any(bits for component in lacking.values() for bits in component.values()):
        raise UnreadablePhoto("the JPEG broke off: its last scans are missing; send it again")


def _scale(factor: int) -> int:
    return max(known for known in (1, 2, 4, 8) if known <= max(1, factor))


def _segment(data: bytes, start: int) -> bytes:
    if data[start + 1] == _ALONE:
        return b""
    length = int.from_bytes(data[start + 2 : start + 4])
    return data[start + 4 : start + 2 + length]


def _behind(data: bytes, start: int, segment: bytes) -> int:
    return start + (2 if data[start + 1] == _ALONE else 4 + len(segment))


def _adobe(segment: bytes, components: int) -> bytes:
    """Adobe's segment with a colour transform that the decoder knows.

    Of another one it would warn, and take the usual one (``jdapimin.c`` of libjpeg).
    """
    usual = 2 if components == 4 else 1
    known = segment[11] if segment[11] in (0, usual) else usual
    return b"\xff\xee\0\x0e" + segment[:11] + bytes([known])


def _with_end(scans: bytes) -> bytes:
    """With an end marker, in place of the zeros of a preallocated file that got none."""
    if scans.endswith(END_OF_IMAGE):
        return scans
    unpadded = scans.rstrip(b"\0")
    if len(scans) - len(unpadded) >= _ZERO_TAIL:
        scans = unpadded
    return scans.removesuffix(b"\xff") + END_OF_IMAGE


def _samples(frame: bytes, width: int, height: int) -> int:
    """Numbers of all components of a frame, by its sampling factors (T.81, A.1.1)."""
    factors = [(byte >> 4, byte & 15) for byte in frame[7 : 6 + 3 * frame[5] : 3]]
    across, down = (max(1, *sizes) for sizes in zip(*factors, strict=True))
    share = sum(h * v for h, v in factors) / (across * down)
    return int(width * height * share)
