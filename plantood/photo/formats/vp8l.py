"""What a lossless WebP makes its decoder keep beside the pixels (RFC 9649, section 3).

A picture may have a group of five prefix codes for each block of 4 by 4 pixels, up to 65,536 of
them, and its decoder builds the tables of all: 300 kB of file can take 370 MB. How many blocks
there are is said behind the transforms, small pictures that are prefix-coded themselves. So these
are walked over, bit by bit as libwebp does; their values do not matter.
"""

from __future__ import annotations

from plantood.errors import PhotoTooLarge, UnreadablePhoto

MAX_TRANSFORM = 1 << 16
"""Pixels of a transform. The usual encoder writes at most 16,384, and its older versions one for
each 256 pixels of the picture; walking over two of this size takes a quarter of a second."""
MAX_GROUPS = 1 << 16

_SIGNATURE = 0x2F
_PREDICTOR, _CROSS_COLOUR, _SUBTRACT_GREEN, _PALETTE = range(4)
_LITERALS, _LENGTHS, _DISTANCES = 256, 24, 40
"""Symbols of a code: values, how many pixels are repeated, and from where."""
_LONGEST, _LARGEST_CACHE = 15, 11
"""Bits of a code, and of an index of the cache."""
_CODE_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_REPEAT, _USUAL_LENGTH = 16, 8
_REPEATED = {16: (2, 3), 17: (3, 3), 18: (7, 11)}
"""Of symbols that repeat a length: bits of how often, and the least."""
_LEAST_BITS_OF_A_GROUP = 5 * 4
"""Five codes of one symbol each."""
_GROUP = 568
_TABLES = 4 * (3 * 630 + 410 + 656)
"""Bytes of libwebp's ``HTreeGroup``, and of the largest tables of its codes (``kTableSize``)."""
_TABLES_A_COLOUR = 4
"""Bytes on top, at most, for each colour of the cache."""

_Code = list[tuple[int, int]]
"""Length and symbol, by as many of the next bits as its longest code has; one entry of length 0
for a single symbol."""


class _Bits:
    """Reads from the lowest bit of each byte on; behind the end, zeros."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def read(self, count: int) -> int:
        start, self.position = self.position, self.position + count
        window = int.from_bytes(self.data[start >> 3 : self.position + 7 >> 3], "little")
        return window >> (start & 7) & (1 << count) - 1

    def symbol(self, code: _Code) -> int:
        start = self.position
        window = int.from_bytes(self.data[start >> 3 : (start >> 3) + 3], "little")
        length, symbol = code[window >> (start & 7) & len(code) - 1]
        self.position = start + length
        return symbol

    @property
    def left(self) -> int:
        return 8 * len(self.data) - self.position


def tables(stream: bytes, size: tuple[int, int] | None = None) -> int:
    """Bytes that the tables of all codes take, at most.

    Args:
        stream: A picture, or what is transparent of one, which has no header.
        size: Of the latter, in pixels.

    Raises:
        UnreadablePhoto: It is damaged.
        PhotoTooLarge: It has larger transforms than any photo.
    """
    bits = _Bits(stream)
    if size is None:
        if bits.read(8) != _SIGNATURE:
            raise _damaged()
        size = bits.read(14) + 1, bits.read(14) + 1
        bits.read(1 + 3)  # whether it is transparent, and the version
    width, height = size
    seen: set[int] = set()
    while bits.read(1):
        kind = bits.read(2)
        if kind in seen:
            raise _damaged()
        seen.add(kind)
        width = _walk_over_transform(bits, kind, width, height)
    cache = _cache(bits)
    groups = 1
    if bits.read(1):
        groups = min(MAX_GROUPS, _blocks(bits, width, height), bits.left // _LEAST_BITS_OF_A_GROUP)
    if bits.left < 0:
        raise _damaged()
    return groups * (_GROUP + _TABLES + _TABLES_A_COLOUR * cache)


def _walk_over_transform(bits: _Bits, kind: int, width: int, height: int) -> int:
    """The width of what follows: a palette puts several pixels into one."""
    if kind in (_PREDICTOR, _CROSS_COLOUR):
        _walk_over_pixels(bits, _blocks(bits, width, height))
    elif kind == _PALETTE:
        colours = bits.read(8) + 1
        _walk_over_pixels(bits, colours)
        together = 8 if colours <= 2 else 4 if colours <= 4 else 2 if colours <= 16 else 1
        return -(-width // together)
    return width


def _blocks(bits: _Bits, width: int, height: int) -> int:
    side = 4 << bits.read(3)
    return -(-width // side) * -(-height // side)


def _cache(bits: _Bits) -> int:
    """Colours of the cache."""
    if not bits.read(1):
        return 0
    size = bits.read(4)
    if not 1 <= size <= _LARGEST_CACHE:
        raise _damaged()
    return 1 << size


def _walk_over_pixels(bits: _Bits, pixels: int) -> None:
    cache = _cache(bits)
    green, *others, distance = (
        _code(bits, symbols)
        for symbols in (_LITERALS + _LENGTHS + cache, *[_LITERALS] * 3, _DISTANCES)
    )
    written = [code for code in others if len(code) > 1]
    if len(green) == 1 and green[0][1] < _LITERALS and not written:
        return
    if pixels > MAX_TRANSFORM:
        raise PhotoTooLarge(
            f"the WebP is put together of {pixels:,} blocks, far more than any photo; "
            "send it as a JPEG"
        )
    while pixels > 0 <= bits.left:
        symbol = bits.symbol(green)
        if symbol < _LITERALS:
            for code in written:
                bits.symbol(code)
            pixels -= 1
        elif symbol < _LITERALS + _LENGTHS:
            pixels -= _number(bits, symbol - _LITERALS)
            _number(bits, bits.symbol(distance))
        else:  # of the cache
            pixels -= 1
    if pixels or bits.left < 0:
        raise _damaged()


def _number(bits: _Bits, prefix: int) -> int:
    """A length or distance (section 5.2.2)."""
    if prefix < 4:
        return prefix + 1
    extra = prefix - 2 >> 1
    return (2 + (prefix & 1) << extra) + bits.read(extra) + 1


def _code(bits: _Bits, symbols: int) -> _Code:
    """Read a code of so many symbols (section 6.2.1)."""
    if not bits.read(1):
        return _table(_lengths(bits, symbols))
    has_two, is_wide = bits.read(1), bits.read(1)
    used = {bits.read(8 if is_wide else 1)}
    if has_two:
        used.add(bits.read(8))
    return _table([int(symbol in used) for symbol in range(symbols)])


def _lengths(bits: _Bits, symbols: int) -> list[int]:
    """How long the code of each symbol is, which is prefix-coded, too."""
    of_lengths = [0] * len(_CODE_ORDER)
    for symbol in _CODE_ORDER[: bits.read(4) + 4]:
        of_lengths[symbol] = bits.read(3)
    code = _table(of_lengths)
    written = 2 + bits.read(2 + 2 * bits.read(3)) if bits.read(1) else symbols
    lengths: list[int] = []
    last = _USUAL_LENGTH
    while len(lengths) < symbols and written:
        written -= 1
        length = bits.symbol(code)
        if length < _REPEAT:
            lengths.append(length)
            last = length or last
        else:
            extra, least = _REPEATED[length]
            lengths += [last if length == _REPEAT else 0] * (least + bits.read(extra))
    if len(lengths) > symbols:
        raise _damaged()
    return lengths


def _table(lengths: list[int]) -> _Code:
    """The code of such lengths, which must use up all of its bits, or be of one symbol."""
    used = sorted((length, symbol) for symbol, length in enumerate(lengths) if length)
    if len(used) == 1:
        return [(0, used[0][1])]
    if sum(1 << _LONGEST - length for length, _ in used) != 1 << _LONGEST:
        raise _damaged()
    longest = used[-1][0]
    table = [(0, 0)] * (1 << longest)
    place = 0
    for length, symbol in used:
        first = int(f"{place:0{longest}b}"[::-1], 2)
        table[first :: 1 << length] = [(length, symbol)] * (1 << longest - length)
        place += 1 << longest - length
    return table


def _damaged() -> UnreadablePhoto:
    return UnreadablePhoto("the WebP is damaged; send it again")
