"""How large the frames inside an AVIF are, which need not be what its container says.

The decoder decodes what is there, and then scales it to what was said. It goes by the last sequence
header before a frame, and a frame may say a size of its own; so all of them are looked at. Layout:
AV1 Bitstream & Decoding Process Specification, sections 5.3 (OBU), 5.5 (sequence header) and 5.9
(frame header).
"""

from __future__ import annotations

from dataclasses import dataclass

from plantood.errors import UnreadablePhoto

MAX_UNITS = 1_000
"""Pieces of the picture; a photo has three or four."""

MAX_POINTS = 8
"""Ways to decode only some of the layers; a photo has one, or one for each of up to four."""

_SEQUENCE_HEADER = 1
_FRAMES = (3, 6, 7)
"""A frame's header, alone, with the frame, and repeated."""
_LOOK_AT = 256
"""Bytes in which what is read of a piece must lie."""
_SELECT = 2
"""In the place of a flag: each frame says it itself."""


@dataclass(frozen=True)
class Frames:
    """What a stream is made of.

    Attributes:
        pixels: Of the largest frame, at most.
        count: Frames that are decoded.
        units: Pieces that the decoder reads.
    """

    pixels: int
    count: int
    units: int


@dataclass(frozen=True)
class _Sequence:
    width: int
    height: int
    bits: tuple[int, int]  # in which a frame may say another width and height
    reduced: bool
    screen_content: int
    integer_vectors: int
    frame_id_bits: int


def frames(picture: bytes, most: int = MAX_UNITS) -> Frames:
    """Walk through a stream.

    Args:
        picture: All of its bytes.
        most: Pieces that it may have.

    Raises:
        UnreadablePhoto: It is not the picture of an AVIF.
    """
    sequence, pixels, count, units, position = None, 0, 0, 0, 0
    try:
        while position < len(picture):
            units += 1
            if units > most:
                raise UnreadablePhoto("the file is made of headers without a photo")
            bits = _Bits(picture[position : position + _LOOK_AT])
            bits.read(1)
            kind, has_extension, has_size = bits.read(4), bits.read(1), bits.read(1)
            bits.read(1 + 8 * has_extension)
            size = bits.leb128() if has_size else len(picture)
            position += bits.position // 8 + size
            if kind == _SEQUENCE_HEADER:
                sequence = _sequence(bits)
                pixels = max(pixels, sequence.width * sequence.height)
            elif kind in _FRAMES and sequence:
                count += 1
                if _has_own_size(bits, sequence):
                    pixels = max(pixels, 1 << sum(sequence.bits))
    except IndexError:
        pixels = 0
    if not pixels:
        raise UnreadablePhoto("the AVIF has no picture that can be read")
    return Frames(pixels, max(count, 1), units)


def _sequence(bits: _Bits) -> _Sequence:
    bits.read(3 + 1)
    reduced = bool(bits.read(1))
    if reduced:
        bits.read(5)
    else:
        if bits.read(1):  # timing_info: of videos
            raise UnreadablePhoto("the AVIF is a video")
        has_delay, points = bits.read(1), bits.read(5) + 1
        if points > MAX_POINTS:
            raise UnreadablePhoto("the AVIF is a video")
        for _ in range(points):
            bits.read(12)
            if bits.read(5) > 7:
                bits.read(1)
            if has_delay and bits.read(1):
                bits.read(4)
    sides = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(sides[0]) + 1, bits.read(sides[1]) + 1
    if reduced:
        return _Sequence(width, height, sides, reduced, 0, 0, 0)
    has_ids = bits.read(1)
    id_bits = bits.read(4) + 2 + bits.read(3) + 1 if has_ids else 0
    bits.read(3 + 4)  # superblocks, filters, and how frames are predicted from others
    if bits.read(1):  # frames have an order
        bits.read(2)
    screen_content = _SELECT if bits.read(1) else bits.read(1)
    integer_vectors = _SELECT
    if screen_content and not bits.read(1):
        integer_vectors = bits.read(1)
    return _Sequence(width, height, sides, reduced, screen_content, integer_vectors, id_bits)


def _has_own_size(bits: _Bits, sequence: _Sequence) -> bool:
    """Whether a frame may be of another size than its sequence says (section 5.9.2)."""
    if sequence.reduced:
        return False
    if bits.read(1):  # a frame that is there already is shown
        return True
    kind, shown = bits.read(2), bits.read(1)
    if not shown:
        bits.read(1)
    if kind == 3:  # a switch frame always does
        return True
    if kind or not shown:
        bits.read(1)  # error_resilient_mode
    bits.read(1)
    has_screen_content = sequence.screen_content
    if has_screen_content == _SELECT:
        has_screen_content = bits.read(1)
    if has_screen_content and sequence.integer_vectors == _SELECT:
        bits.read(1)
    bits.read(sequence.frame_id_bits)
    return bool(bits.read(1))


class _Bits:
    """Reads numbers bit by bit, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._number, self._size, self._left = int.from_bytes(data), 8 * len(data), 8 * len(data)

    @property
    def position(self) -> int:
        return self._size - self._left

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("behind the end")
        return self._number >> self._left & (1 << count) - 1

    def leb128(self) -> int:
        value = 0
        for place in range(8):
            byte = self.read(8)
            value |= (byte & 127) << 7 * place
            if byte < 128:
                break
        return value
