"""Files whose lists are as long as they can be: what looks through them holds all others up."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tests.photos import encode, heic, scene
from tests.security import coded
from tests.security.payloads import boxed, flat, tiff

SAMPLE = heic(scene(400, 300), quality=60)


def full(kind: bytes, content: bytes) -> bytes:
    """A box with a version and flags, all zero."""
    return boxed(kind, bytes(4) + content)


def heic_with_properties(more: bytes) -> bytes:
    """An HEIC with more boxes among its properties.

    Its lists move to the end, so that all they name stays where it is.
    """
    meta = SAMPLE.index(b"meta") - 4
    lists = SAMPLE[meta + 8 : meta + int.from_bytes(SAMPLE[meta : meta + 4])]
    start = lists.index(b"iprp") - 4
    end = start + int.from_bytes(lists[start : start + 4])
    grown = lists[:start] + boxed(b"iprp", lists[start + 8 : end] + more) + lists[end:]
    return SAMPLE[: meta + 4] + b"free" + SAMPLE[meta + 8 :] + boxed(b"meta", grown)


def associations(items: int, each: int) -> bytes:
    """A list of which properties belong to items, none of which is there."""
    entries = (struct.pack(">HB", 20_000 + item, each) + bytes(each) for item in range(items))
    return full(b"ipma", struct.pack(">I", items) + b"".join(entries))


def record(arrays: int, units: int) -> bytes:
    """What stands before each picture in HEVC: arrays of so many units that say nothing."""
    array = b"\x27" + struct.pack(">H", units) + b"\0\1\x40" * units
    return boxed(b"hvcC", bytes(21) + bytes([3, arrays]) + array * arrays)


def sequence(side: int, bits: int, points: int = 1) -> bytes:
    """A sequence header of AV1 that says for each operating point what it can."""
    fields = [(0, 3), (0, 1), (0, 1), (0, 1), (1, 1), (points - 1, 5)]
    fields += [(0, 12), (8, 5), (0, 1), (1, 1), (0, 4)] * points
    fields += [(bits - 1, 4), (bits - 1, 4), (side - 1, bits), (side - 1, bits)]
    fields += [(0, 1), (0, 3), (0, 4), (0, 1), (1, 1), (1, 1), (0, 16)]
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "1" * (-len(text) % 8)
    return bytes([1 << 3 | 2, len(text) // 8]) + int(text, 2).to_bytes(len(text) // 8)


def avif_of_tiles(tiles: int, tile: bytes) -> bytes:
    """An AVIF put together of so many pictures, all of the same bytes."""
    numbers = range(2, tiles + 2)

    def entry(item: int, kind: bytes) -> bytes:
        return boxed(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", item, 0, kind) + b"\0")

    def start(place: int) -> bytes:
        where = (
            struct.pack(">HHHII", item, 0, 1, place + len(tile) * (item - 2), len(tile))
            for item in numbers
        )
        of = struct.pack(f">HH{tiles}H", 1, tiles, *numbers)
        kinds = b"".join(entry(item, b"av01") for item in numbers)
        lists = [
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", b"\x44\0" + struct.pack(">H", tiles) + b"".join(where)),
            full(b"iinf", struct.pack(">H", tiles + 1) + entry(1, b"grid") + kinds),
            full(b"iref", boxed(b"dimg", of)),
        ]
        return boxed(b"ftyp", b"avif" + bytes(4) + b"avifmif1") + full(b"meta", b"".join(lists))

    return start(len(start(0)) + 8) + boxed(b"mdat", tile * tiles)


def gif_of_blocks(extensions: int, blocks: int) -> bytes:
    """A GIF with so many extensions, each of so many blocks of one byte."""
    picture = flat("GIF", 640, 480, "P")
    start = 13 + (3 << (picture[10] & 7) + 1 if picture[10] & 0x80 else 0)
    extension = b"\x21\xf0" + b"\x01x" * blocks + b"\0"
    return picture[:start] + extension * extensions + picture[start:]


def webp_of_several(side: int) -> bytes:
    """A WebP with all three ways to say pixels, once by itself and once as a frame."""
    stream = coded.lossless_of_transforms(side)
    header = b"\x2f" + ((side - 1) | (side - 1) << 14).to_bytes(4, "little")
    pictures = [
        (b"ALPH", b"\1" + stream),
        (b"VP8 ", flat("WEBP", side, side)[20:]),
        (b"VP8L", header + stream),
    ]
    sides = (side - 1).to_bytes(3, "little") * 2
    frame = bytes(6) + sides + bytes(4) + coded.webp(*pictures)[12:]
    return coded.webp((b"VP8X", b"\x10\0\0\0" + sides), *pictures, (b"ANMF", frame))


def tiff_of_jpegs(down: int, segments: int) -> bytes:
    """A TIFF of 256 by so many tiles, which are JPEGs with so many segments that say nothing."""
    frame = b"\xff\xc0\0\x0b\x08\0\x10\0\x10\1\1\x11\0"
    part = b"\xff\xd8" + b"\xff\xfe\0\2" * segments + frame + b"\xff\xda\0\x08\1\1\0\0\x3f\0\0\0"
    part += bytes(len(part) % 2)
    tiles = 256 * down
    lists = 8 + tiles * len(part)
    places = struct.pack(f"<{tiles}I", *range(8, lists, len(part)))
    numbers = {256: 256 * 16, 257: down * 16, 258: 8, 259: 7, 262: 1, 277: 1, 322: 16, 323: 16}
    entries = [(tag, 4, 1, value) for tag, value in numbers.items()]
    entries += [(324, 4, tiles, lists), (325, 4, tiles, lists + len(places))]
    return tiff(entries, part * tiles + places + struct.pack("<I", len(part)) * tiles)


def jpeg_of_fill(size: int, fill: bytes) -> bytes:
    """A progressive JPEG with so many bytes behind its last scan that say nothing."""
    photo = encode(scene(), progressive=True)
    return photo[:-2] + fill * (size // len(fill)) + photo[-2:]


def png_of_chunks(chunks: Iterable[bytes]) -> bytes:
    """A PNG with chunks between its header and its pixels."""
    photo = flat("PNG", 400, 400)
    return photo[:33] + b"".join(chunks) + photo[33:]
