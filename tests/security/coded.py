"""Pictures coded as no encoder does it: few bytes, and much to do or to keep for their decoders."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

from tests.security.payloads import flat, tiff

Kind: TypeAlias = Callable[[int, bytes], bytes]
"""Makes a WebP of so many pixels a side of a lossless stream."""


class _Bits:
    """Written from the lowest bit of each byte on, as in a lossless WebP."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def put(self, *fields: tuple[int, int]) -> None:
        """Values, each with how many bits it takes."""
        self._bits += [f"{value:0{count}b}"[::-1] for value, count in fields]

    def put_codes(self, count: int) -> None:
        """Prefix codes of one symbol each, which then takes no bits."""
        self._bits.append("10100000000" * count)

    def put_code_of_bytes(self) -> None:
        """A prefix code of 256 symbols, each with the eight bits of its number."""
        self.put((0, 1), (15, 4))
        order = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
        self.put(*((int(length in (0, 8)), 3) for length in order))
        self.put((1, 1), (3, 3), (256 - 2, 8))
        self._bits.append("1" * 256)

    def put_coded(self, byte: int) -> None:
        self._bits.append(f"{byte:08b}")

    def done(self) -> bytes:
        bits = "".join(self._bits)
        return int("0" + bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")


def lossless_of_groups(side: int, groups: int) -> bytes:
    """What a lossless WebP of so many pixels a side holds, of which each few have other codes.

    It has no header, as what is transparent of a lossy one.
    """
    bits = _Bits()
    for kind in (0, 1):  # transforms, of blocks of 512 pixels
        bits.put((1, 1), (kind, 2), (7, 3), (0, 1))
        bits.put_codes(5)
    bits.put((0, 1), (0, 1), (1, 1), (0, 3), (0, 1))  # groups for blocks of 4 pixels
    bits.put_code_of_bytes()
    bits.put_code_of_bytes()
    bits.put_codes(3)
    for block in range((side // 4) ** 2):
        bits.put_coded(block % groups & 255)
        bits.put_coded(block % groups >> 8)
    bits.put_codes(5 * groups)
    return bits.done() + bytes(16)


def lossless_of_transforms(side: int) -> bytes:
    """The same with one pixel of a transform for each 16, all of them written, and one group."""
    bits = _Bits()
    for kind in (0, 1):
        bits.put((1, 1), (kind, 2), (0, 3), (0, 1))
        bits.put((3, 3), (0, 1), (1, 8))  # green is one of two
        bits.put_codes(4)
        bits.put((0, (side // 4) ** 2))
    bits.put((0, 3))
    bits.put_codes(5)
    return bits.done() + bytes(16)


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of such chunks, by their names."""
    riff = b"WEBP" + b"".join(_chunk(name, content) for name, content in chunks)
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def webp_lossless(side: int, stream: bytes) -> bytes:
    return webp((b"VP8L", _with_header(side, stream)))


def webp_of_alpha(side: int, stream: bytes) -> bytes:
    """A lossy WebP, with a stream that says what is transparent."""
    lossy = flat("WEBP", side, side)[20:]
    return webp(_extended(side, 0x10), (b"ALPH", b"\1" + stream), (b"VP8 ", lossy))


def webp_of_frames(side: int, *streams: bytes) -> bytes:
    """An animation of lossless frames."""
    size = (side - 1).to_bytes(3, "little") * 2
    frames = [
        (b"ANMF", bytes(6) + size + bytes(4) + _chunk(b"VP8L", _with_header(side, stream)))
        for stream in streams
    ]
    return webp(_extended(side, 0x02), (b"ANIM", bytes(6)), *frames)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _extended(side: int, flags: int) -> tuple[bytes, bytes]:
    size = (side - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + size + size


def _with_header(side: int, stream: bytes) -> bytes:
    return b"\x2f" + ((side - 1) | (side - 1) << 14).to_bytes(4, "little") + stream


def jpeg_arithmetic(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG with arithmetic coding, whose scans hold no bytes at all."""
    photo = flat("JPEG", width, height, "L", progressive=True)
    start = photo.index(b"\xff\xda")
    header = photo[:start].replace(b"\xff\xc2", b"\xff\xca")
    first = b"\xff\xda\0\x08\1\1\0\0\0\0"
    return header + first + b"\xff\xda\0\x08\1\1\0\1\x3f\0" * (scans - 1) + b"\xff\xd9"


def tiff_of_strips(
    strip: bytes, width: int, rows: int, places: int, compression: int = 7, *, shared: bool
) -> bytes:
    """A grey TIFF of so many strips, all the same bytes, which may be there only once.

    Padded, so that the strips together are no larger than the file.
    """
    strip += bytes(len(strip) % 2)
    data = strip if shared else strip * places
    starts = [8 + (0 if shared else number * len(strip)) for number in range(places)]
    lists = 8 + len(data)
    data += struct.pack(f"<{places}I", *starts)
    data += struct.pack(f"<{places}I", *[len(strip)] * places)
    data += bytes(max(0, places * len(strip) - len(data)))
    numbers = {256: width, 257: rows * places, 258: 8, 259: compression, 262: 1, 277: 1, 278: rows}
    entries = [(tag, 4, 1, value) for tag, value in numbers.items()]
    entries += [(273, 4, places, lists), (279, 4, places, lists + 4 * places)]
    return tiff(entries, data)
