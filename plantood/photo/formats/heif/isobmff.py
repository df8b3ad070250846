"""Is all of an HEIC or AVIF there, and no more in it than in a photo?

A phone's photo is made of many tiles, and a decoder paints those that are missing in some colour
and says nothing. So the list of them is compared with the file. A picture of 64 pixels a side may
be made of a thousand tiles of 64 megapixels: so their sizes are added up. Metadata stay where they
are, since all else is found by its place, but under a name that no decoder knows.
"""

from __future__ import annotations

import struct
from collections import Counter

from plantood.errors import UnreadablePhoto
from plantood.photo.formats.bare import Bare
from plantood.photo.formats.heif import av1, boxes, hevc

_METADATA = (b"Exif", b"mime", b"uri ")
_FILM = b"moov"
_UNKNOWN = b"none"
_CODED = (b"hvc1", b"hev1", b"av01")
_MADE_OF = {b"grid": _CODED, b"iden": (*_CODED, b"grid")}
"""Pictures that are put together of others, by tiles or turned, and of which."""
_LISTS = frozenset({b"iloc", b"iinf", b"pitm", b"iref", b"iprp", b"idat"})
_UNITS_A_PICTURE, _UNITS, _MOST_UNITS = 8, 64, 8_000
"""Pieces of coded pictures, in all: a tile has one to six. A thousand of them can take 30 ms."""
_SHARED = 1 << 20
"""Bytes that items may have beyond those of the file: tiles of one colour share theirs."""


def bare(data: bytes) -> Bare:
    """Hide the metadata, and count what there is to decode.

    Returns:
        The file; its pixels and work are 0 if there is no picture. What is coded is counted by
        itself, and not by its container. (A picture in HEVC that is larger than said is refused by
        its decoder.)

    Raises:
        UnreadablePhoto: A part of it is missing, or it is no photo as phones write them.
    """
    try:
        return _bare(data)
    except (struct.error, IndexError) as error:
        raise UnreadablePhoto("the photo's list of contents is broken") from error


def _bare(data: bytes) -> Bare:
    meta, films = _contents(data)
    if meta is None:
        return Bare(data)
    inner: dict[bytes, boxes.Box] = {}
    for box in boxes.boxes_in(data, meta.start + 4, meta.end):
        if box.type in inner and box.type in _LISTS:
            raise UnreadablePhoto("the photo has two lists of its contents")
        inner[box.type] = box
    if not {b"iloc", b"iinf", b"pitm"} <= inner.keys():
        return Bare(data)  # its decoder will refuse it
    places = boxes.places(data, inner[b"iloc"], inner.get(b"idat", boxes.Box(b"idat", 0, 0)))
    if any(stop > end for pieces in places.values() for _, stop, end in pieces):
        raise UnreadablePhoto("the photo broke off: parts are missing; send it again")
    sizes = [stop - start for pieces in places.values() for start, stop, _ in pieces]
    if sum(sizes) > len(data) + _SHARED:
        raise UnreadablePhoto("the file is made of parts without a photo")
    types = boxes.types(data, inner[b"iinf"])
    references = boxes.references(data, inner[b"iref"]) if b"iref" in inner else []
    coded = _decoded(boxes.primary(data, inner[b"pitm"]), types, references)
    said, before = {}, 0
    if b"iprp" in inner:
        properties = boxes.properties(data, inner[b"iprp"])
        said = boxes.sizes(data, inner[b"iprp"], properties)
        records = (box for box in properties if box.type == b"hvcC")
        before = hevc.units_before(data[box.start : box.end] for box in records)
    frames: dict[int, av1.Frames] = {}
    left = min(_UNITS_A_PICTURE * len(coded) + _UNITS, _MOST_UNITS)
    for item, times in Counter(coded).items():
        picture = b"".join(data[start:stop] for start, stop, _ in places.get(item, []))
        most = left // times  # before it is walked through: the bounds of items would multiply
        if types[item][0] == b"av01":
            frames[item] = av1.frames(picture, most)
        elif item in said:
            slices, units = hevc.slices(picture, most - before)
            frames[item] = av1.Frames(said[item], slices, before + units)
        else:
            raise UnreadablePhoto("the photo's list of contents is broken")
        left -= times * frames[item].units
    return Bare(
        _without_metadata(data, types, films),
        pixels=max((frame.pixels for frame in frames.values()), default=0),
        work=sum(frames[item].pixels * frames[item].count for item in coded),
        memory=len(data),
    )


def _contents(data: bytes) -> tuple[boxes.Box | None, list[int]]:
    """The one box with all lists, if there is one; and where the names of films' boxes stand."""
    found, films, count = [], [], 0
    try:
        for box in boxes.boxes_in(data, 0, len(data)):
            count += 1
            if box.type == b"meta":
                found.append(box)
            elif box.type == _FILM:
                films.append(data.rindex(_FILM, 0, box.start))
    except UnreadablePhoto:  # what some phones append is no box
        if not found or count == boxes.MAX_BOXES:
            raise
    if len(found) > 1:
        raise UnreadablePhoto("the photo has two lists of its contents")
    return found[0] if found else None, films


def _decoded(primary: int, types: boxes.Types, references: list[boxes.Reference]) -> list[int]:
    """The coded pictures that make the photo, and what belongs to it, as often as they are decoded.

    Raises:
        UnreadablePhoto: It is coded, or put together, as no phone does. Decoders know many more
            ways, each with faults of its own, and are never asked for them.
    """
    parts: dict[int, list[int]] = {}
    for kind, item, to in references:
        if kind == b"dimg":
            parts.setdefault(item, []).extend(to)
    # what makes pixels transparent is a picture beside the photo, and may be one of tiles itself
    beside = [item for kind, item, to in references if kind == b"auxl" and primary in to]
    coded, wanted = [], [(item, (*_CODED, *_MADE_OF)) for item in (primary, *beside)]
    while wanted:
        item, allowed = wanted.pop()
        kind = types.get(item, (b"", 0))[0]
        if kind not in allowed:
            raise UnreadablePhoto("the photo is coded in a way that no phone uses")
        if kind in _CODED:
            coded.append(item)
        else:
            wanted += [(part, _MADE_OF[kind]) for part in parts.get(item, [])]
        if len(coded) + len(wanted) > boxes.MAX_ITEMS:
            raise UnreadablePhoto("the file is made of parts without a photo")
    return coded


def _without_metadata(data: bytes, types: boxes.Types, films: list[int]) -> bytes:
    """The file with metadata and films renamed; how the photo is to be turned is not in them.

    A decoder that finds a film may take it for the photo.
    """
    hidden = bytearray(data)
    for place in [*films, *(place for kind, place in types.values() if kind in _METADATA)]:
        hidden[place : place + len(_UNKNOWN)] = _UNKNOWN
    return bytes(hidden)
