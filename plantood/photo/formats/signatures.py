"""What a file is, by its first bytes alone."""

from __future__ import annotations

from plantood.photo.formats.jpeg import START_OF_IMAGE

HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})

_OTHERS = {
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\n": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xffO\xffQ": "JPEG 2000",
    b"8BPS": "a Photoshop file",
    b"FUJIFILMCCD": "a raw photo",
    b"ftypcrx": "a raw photo",
    b"IIU\0": "a raw photo",
    b"IIRO": "a raw photo",
    b"ftypisom": "a video",
    b"ftypmp4": "a video",
    b"ftypqt": "a video",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"<svg": "a drawing (SVG)",
    b"<html": "a web page",
    b"<!DOCTYPE": "a web page",
}
"""What else is sent in the place of a photo, by what stands at its beginning."""

_SIGNATURES = {
    START_OF_IMAGE: "jpeg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
}


def named_other(data: bytes) -> str:
    """What the bytes of a file are that is no photo, in words; empty if unknown."""
    return next((name for start, name in _OTHERS.items() if start in data[:32]), "")


def format_of(data: bytes) -> str:
    """Of the bytes of a file, by its first ones alone: ``jpeg``, ``png``, ...; empty if unknown."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return "heic" if is_heif(data) else "avif"
    return next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), "")


def brands(data: bytes) -> set[bytes]:
    """What a file of boxes says in its first box that it is (ISO/IEC 14496-12, section 4.3)."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return {box[i : i + 4] for i in range(0, len(box), 4)}


def is_heif(data: bytes) -> bool:
    """Tell HEIF from AVIF."""
    found = brands(data)
    return bool(found & HEIF_BRANDS) and not found & AVIF_BRANDS
