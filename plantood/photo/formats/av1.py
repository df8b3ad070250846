"""How large the picture inside an AVIF is, which need not be what its container says.

The decoder decodes what is there, and then scales it to what was said. Layout: AV1 Bitstream &
Decoding Process Specification, sections 5.3 (OBU) and 5.5 (sequence header).
"""

from __future__ import annotations

from plantood.errors import UnreadablePhoto

_SEQUENCE_HEADER = 1
LOOK_AT = 256
"""Bytes in which the sequence header, the first thing in an AVIF's picture, must begin and end."""


def frame_size(picture: bytes) -> tuple[int, int]:
    """Largest width and height of the frames in a stream, in pixels.

    Raises:
        UnreadablePhoto: It does not begin as the picture of an AVIF has to.
    """
    bits = _Bits(picture[:LOOK_AT])
    try:
        for _ in range(4):
            bits.read(1)
            kind, has_extension, has_size = bits.read(4), bits.read(1), bits.read(1)
            bits.read(1 + 8 * has_extension)
            size = bits.leb128() if has_size else 0
            if kind == _SEQUENCE_HEADER:
                return _from_sequence_header(bits)
            bits.read(8 * size)
    except IndexError:
        pass
    raise UnreadablePhoto("the AVIF has no picture that can be read")


def _from_sequence_header(bits: _Bits) -> tuple[int, int]:
    bits.read(3 + 1)
    if bits.read(1):  # reduced_still_picture_header
        bits.read(5)
    else:
        if bits.read(1):  # timing_info: of videos
            raise UnreadablePhoto("the AVIF is a video")
        has_delay, points = bits.read(1), bits.read(5) + 1
        for _ in range(points):
            bits.read(12)
            if bits.read(5) > 7:
                bits.read(1)
            if has_delay and bits.read(1):
                bits.read(4)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(width_bits) + 1, bits.read(height_bits) + 1


class _Bits:
    """Reads numbers bit by bit, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data), 8 * len(data)

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
