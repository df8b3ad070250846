"""A TIFF of a stranger, with a directory of its own in the place of the stranger's.

Two readers go over a TIFF: Pillow reads all values of its directory into memory, and libtiff asks
for whole tiles, however large they say they are, as often as the directory says. They differ on
what counts of two entries of one tag. So the entries that say where and how the pixels lie are
checked, and written anew, alone; the rest of the file stays where it is. Layout: TIFF 6.0, sections
2, 8 and 15; BigTIFF. JPEG within: Adobe's TIFF Technical Note 2.
"""

from __future__ import annotations

import struct

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import exif, jpeg
from plantood.photo.formats.bare import Bare
from plantood.photo.formats.exif import Entry

MAX_VALUES = 65_536
"""Of one entry: above all the places of strips, of which one row is the least."""
COMPRESSIONS = frozenset({1, 5, 7, 8, 32773, 32946})
"""None, LZW, JPEG, deflate, PackBits, and deflate by its older number: what cameras and editors
write. The others are for faxes, or have decoders that ask for memory of their own."""
MAX_JPEG_SEGMENTS = 100_000
"""Of the headers of all strips or tiles. 110 megapixels in tiles of 128 pixels a side have 6,700
tiles, each with two to ten of them; to look through so many takes a tenth of a second."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS = 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_SIZES, _PLANES = 273, 274, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES = 322, 323, 324, 325
_JPEG, _YCBCR, _SEPARATE = 7, 6, 2
_ONE_NUMBER = frozenset(
    {_WIDTH, _HEIGHT, _COMPRESSION, _COLOURS, 266, _ORIENTATION, _SAMPLES, _ROWS, _PLANES}
    | {317, _TILE_WIDTH, _TILE_HEIGHT}
)
"""And the order of bits (266), and how pixels follow from their neighbours (317)."""
_SEVERAL = frozenset({_BITS, _STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES} | {320, 338, 339})
"""And a palette (320), and what samples are (338, 339)."""
_OTHERS = frozenset({347, 529, 530, 531, 532})
"""Tables of JPEG, and how colours are written as YCbCr."""
_NUMBERS = {3: "H", 4: "I", 16: "Q"}
_WHOLE = 0xFFFFFFFF
"""Rows of a strip, where all are in one."""


def bare(data: bytes) -> Bare:
    """Write its first directory anew.

    Raises:
        UnreadablePhoto: It is coded as no photo is, or parts of it are missing.
    """
    entries: dict[int, Entry] = {}
    order = exif.byte_order(data)
    if not order:
        raise UnreadablePhoto("the TIFF's header can be read in two ways")
    for entry in exif.directory(data):
        if entry.tag not in _ONE_NUMBER | _SEVERAL | _OTHERS:
            continue
        if entry.tag in entries:
            raise UnreadablePhoto("the TIFF can be read in two ways: it has an entry twice")
        is_number = entry.tag not in _OTHERS
        if entry.count > MAX_VALUES or (is_number and entry.type not in _NUMBERS):
            raise UnreadablePhoto("the TIFF is laid out as no photo is")
        if entry.tag in _ONE_NUMBER and entry.count != 1:
            raise UnreadablePhoto("the TIFF is laid out as no photo is")
        entries[entry.tag] = entry
    numbers = {tag: _numbers(data, entry, order) for tag, entry in entries.items()}
    pixels, memory = _pieces(data, numbers)
    if _TILES in numbers:  # one reader would go by them
        for tag in (_ROWS, _STRIP_SIZES):
            entries.pop(tag, None)
    return Bare(_with_directory(data, list(entries.values()), order), 1, pixels, pixels, memory)


def _numbers(data: bytes, entry: Entry, order: str) -> tuple[int, ...]:
    """The values of an entry, if it is one of numbers."""
    if entry.type not in _NUMBERS:
        return ()
    layout = struct.Struct(f"{order}{entry.count}{_NUMBERS[entry.type]}")
    start = 0
    held = entry.value
    if layout.size > len(held):
        start, held = entry.place, data
    try:
        found: tuple[int, ...] = layout.unpack_from(held, start)
    except struct.error as error:
        raise UnreadablePhoto("the TIFF broke off: parts are missing; send it again") from error
    return found


def _pieces(data: bytes, numbers: dict[int, tuple[int, ...]]) -> tuple[int, int]:
    """Pixels of all strips or tiles, also where they reach beyond the picture; bytes of one.

    Raises:
        UnreadablePhoto: There are more or fewer of them than the picture needs, they overlap, or
            are missing or coded as no camera codes them.
    """

    def one(tag: int, otherwise: int) -> int:
        return numbers.get(tag, (otherwise,))[0]

    width, height = one(_WIDTH, 0), one(_HEIGHT, 0)
    places, sizes = numbers.get(_STRIPS, ()), numbers.get(_STRIP_SIZES, ())
    piece = width, min(height, one(_ROWS, _WHOLE))
    if {_TILES, _TILE_WIDTH, _TILE_HEIGHT} & numbers.keys():
        if _STRIPS in numbers:  # one reader would take them for tiles
            raise UnreadablePhoto("the TIFF can be read in two ways: it has strips and tiles")
        places, sizes = numbers.get(_TILES, ()), numbers.get(_TILE_SIZES, ())
        piece = one(_TILE_WIDTH, 0), one(_TILE_HEIGHT, 0)
    if not min(width, height, *piece):
        raise UnreadablePhoto("the TIFF is laid out as no photo is")
    compression, samples = one(_COMPRESSION, 1), one(_SAMPLES, 1)
    if compression not in COMPRESSIONS:
        raise UnreadablePhoto("the TIFF is compressed in a way that no photo is")
    across, down = -(-width // piece[0]), -(-height // piece[1])
    area = piece[0] * piece[1]
    needed = across * down * (samples if one(_PLANES, 1) == _SEPARATE else 1)
    if len(places) != needed:
        raise UnreadablePhoto("the TIFF's parts are not as many as its picture has")
    if compression != 1:
        if len(sizes) != needed:
            raise UnreadablePhoto("the TIFF's parts are not as many as its picture has")
        _ensure_apart(places, sizes, len(data))
    bits = max(numbers.get(_BITS, ()), default=1)
    memory = area * -(-samples * bits // 8)
    if compression == _JPEG:
        _ensure_one_scan_each(data, places, sizes)
    elif one(_COLOURS, 0) == _YCBCR:
        memory += 4 * area
    return across * down * area, memory


def _ensure_apart(places: tuple[int, ...], sizes: tuple[int, ...], end: int) -> None:
    """Refuse parts that share bytes: a small one could be decoded any number of times."""
    behind = 0
    for place, size in sorted(zip(places, sizes, strict=True)):
        if place + size > end:
            raise UnreadablePhoto("the TIFF broke off: parts are missing; send it again")
        if place < behind:
            raise UnreadablePhoto("the TIFF's parts overlap, as those of no photo do")
        behind = place + size


def _ensure_one_scan_each(data: bytes, places: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    """Refuse parts that are other JPEGs than Huffman-coded ones of a single scan.

    Of more scans, each would go over all of the part once more, and the decoder keep all of its
    coefficients.
    """
    left = MAX_JPEG_SEGMENTS
    for place, size in zip(places, sizes, strict=True):
        part, components, is_usual = data[place : place + size], 0, True
        for marker, start, segment in jpeg.header(part):
            left -= 1
            if marker in jpeg.FRAMES:
                components = segment[5] if len(segment) > 5 else 0
                is_usual &= marker in jpeg.SEQUENTIAL
            elif marker == jpeg.SCAN:
                is_usual &= bool(segment) and segment[0] == components
                is_usual &= part.count(b"\xff\xda", start + 2) == 0
        if not is_usual or left < 0 or not part.startswith(jpeg.START_OF_IMAGE):
            raise UnreadablePhoto("the TIFF is compressed in a way that no photo is")


def _with_directory(data: bytes, entries: list[Entry], order: str) -> bytes:
    """The file with a directory of these entries at its end, and no other."""
    number, layout, place = ("Q", "HHQ8s", "Q") if exif.is_big(data) else ("H", "HHI4s", "I")
    start = len(data) + len(data) % 2
    head = 8 if exif.is_big(data) else 4
    behind = head + struct.calcsize(place)
    written = [
        data[:head],
        struct.pack(order + place, start),
        data[behind:].ljust(start - behind, b"\0"),
        struct.pack(order + number, len(entries)),
    ]
    for entry in sorted(entries, key=lambda entry: entry.tag):
        written.append(struct.pack(order + layout, entry.tag, entry.type, entry.count, entry.value))
    return b"".join([*written, bytes(8)])
