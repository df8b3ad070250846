"""Did the whole JPEG arrive? Pillow alone cannot say.

libjpeg fills the part of a broken upload that never arrived with grey and only warns, and
Pillow shows the warning to nobody. Without ``LOAD_TRUNCATED_IMAGES`` (a global switch that any
library in the process may have thrown) Pillow raises, but then for a whole photo that lacks only
its two-byte end marker too. So the question is put to the decoder itself: **a stream that is
complete decodes to the same pixels whatever is appended to it**, because the decoder has stopped
reading entropy-coded data; a stream that broke off does not, because the decoder takes what
follows for the missing blocks. Only suspicious files pay for these two decodes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from plantood.errors import UnreadablePhoto

END_OF_IMAGE = b"\xff\xd9"
MAX_SCANS = 100
"""A usual progressive file has about ten scans. Thousands of nearly empty ones make a small file
that takes minutes to decode, which is why libjpeg's own ``djpeg`` has ``-maxscans``."""

_FILLER = 128
"""What libjpeg puts where no data arrived: all coefficients zero, mid-grey in every channel."""
_ZERO_TAIL = 16
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SCAN, _END = 0xDA, 0xD9
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL_MARKERS = frozenset({0xC0, 0xC1, 0xC9})


def _noise_tail() -> bytes:
    """Random entropy-coded bytes, then the same behind each of the eight restart markers.

    A stream that broke off exactly at the end of a restart interval goes on at its next restart
    marker, whichever of the eight that is.
    """
    rng = random.Random(1992)
    noise = [bytes(rng.randrange(0, 255) for _ in range(384)) for _ in range(9)]
    restarts = (bytes((0xFF, 0xD0 + i)) + noise[i + 1] for i in range(8))
    return noise[0] + b"".join(restarts) + END_OF_IMAGE


_NOISE_TAIL = _noise_tail()


@dataclass(frozen=True)
class Structure:
    """What the markers of a JPEG say.

    Attributes:
        end: Index of the end-of-image marker, or None if there is none.
        sequential: True for baseline and extended, False for progressive.
        all_coefficients: True if scans for every coefficient of every component, down to the
            last bit, have at least begun.
    """

    end: int | None
    sequential: bool
    all_coefficients: bool


def marker_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker, its index, and what its segment holds, one after the other.

    Restart markers are part of the entropy-coded data between the segments.
    """
    position = 2
    while found := _MARKER.search(data, position):
        position, marker = found.start(), data[found.start() + 1]
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, position, data[position + 4 : position + 2 + length]
        position += 2 + max(length, 0 if marker == 0x01 else 2)


def read_structure(data: bytes) -> Structure:
    """Walk through the marker segments of a JPEG (ITU-T T.81, annex B), never decoding anything.

    Lengths are followed, so that the end marker of an embedded thumbnail is not taken for the
    photo's own.
    """
    missing: dict[int, np.ndarray] = {}  # component -> bits still to come, per coefficient
    sequential = True
    end = None
    for marker, position, segment in marker_segments(data):
        if marker == _END:
            end = position
            break
        if marker in _FRAME_MARKERS and len(segment) >= 6:
            sequential = marker in _SEQUENTIAL_MARKERS
            missing = {identity: np.full(64, 16) for identity in segment[6::3]}
        elif marker == _SCAN and len(segment) >= 4:
            first, last, approximation = segment[-3:]
            for identity in segment[1:-3:2]:
                if identity in missing:
                    span = slice(0, 64) if sequential else slice(first, last + 1)
                    missing[identity][span] = 0 if sequential else approximation & 15
    complete = bool(missing) and not any(bits.any() for bits in missing.values())
    return Structure(end, sequential, complete)


def ensure_whole(data: bytes) -> bytes:
    """Return the JPEG with an end marker, if everything else is there.

    Args:
        data: A file that begins with a JPEG; bytes behind its end marker do not matter.

    Returns:
        ``data`` itself, or a copy with the missing end marker appended.

    Raises:
        UnreadablePhoto: Part of the photo is missing, or it has more than ``MAX_SCANS`` scans.
    """
    if not _is_one_scan(data) and data.count(b"\xff\xda") > MAX_SCANS:
        raise UnreadablePhoto(f"the JPEG has more than {MAX_SCANS} scans")
    if data.endswith(END_OF_IMAGE):
        return data
    structure = read_structure(data)
    if structure.end is not None:
        return data
    data = _trim(data)
    if _is_cut(data, structure):
        raise UnreadablePhoto("the JPEG broke off: its last rows are missing; send it again")
    return data + END_OF_IMAGE


def ensure_no_filler(data: bytes, pixels: np.ndarray) -> None:
    """Refuse a JPEG that broke off and was given an end marker on its way.

    Such a file ends in the decoder's grey, so only a photo whose last pixel is exactly that grey
    is looked at again.

    Args:
        data: The JPEG, with an end marker.
        pixels: Its decoded pixels, uint8 ``[H, W]`` or ``[H, W, C]``.

    Raises:
        UnreadablePhoto: The grey is the decoder's own.
    """
    if not np.all(pixels[-1, -1] == _FILLER):
        return
    structure = read_structure(data)
    if structure.end is not None and _is_cut(_trim(data[: structure.end]), structure):
        raise UnreadablePhoto("the JPEG broke off: its last rows are missing; send it again")


def _is_one_scan(data: bytes) -> bool:
    """Tell whether the decoder stops after the first scan, as in nearly all photos of a phone.

    It does where a sequential frame has all of its components in that scan (``jdinput.c`` of
    libjpeg: ``has_multiple_scans``). Counting scans then costs as much as copying the file, and
    there is nothing to count.
    """
    components = 0
    for marker, _, segment in marker_segments(data):
        if marker in _FRAME_MARKERS and len(segment) >= 6:
            components = segment[5] if marker in _SEQUENTIAL_MARKERS else 0
        elif marker == _SCAN:
            return bool(segment) and 0 < components <= segment[0]
        elif marker == _END:
            break
    return False


def _trim(data: bytes) -> bytes:
    """Drop what is no data: zeros of a preallocated file, half of a stuffed 0xFF 0x00."""
    unpadded = data.rstrip(b"\0")
    if len(data) - len(unpadded) >= _ZERO_TAIL:
        data = unpadded
    return data.removesuffix(b"\xff")


def _is_cut(data: bytes, structure: Structure) -> bool:
    """Tell whether anything is missing at the end of ``data`` (without end marker)."""
    if not structure.all_coefficients:
        return True
    # At a reduced scale the decoder leaves high frequencies out, and the last scans of a
    # progressive file hold nothing else.
    reduced = structure.sequential
    grey, noisy = (_decode(data + tail, reduced) for tail in (END_OF_IMAGE, _NOISE_TAIL))
    return not np.array_equal(grey, noisy)


def _decode(data: bytes, reduced: bool) -> np.ndarray:
    try:
        image = Image.open(BytesIO(data), formats=("JPEG",))
        if reduced:
            image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
        return np.asarray(image)
    except Exception as error:
        raise UnreadablePhoto(f"the JPEG cannot be decoded: {error}") from error
