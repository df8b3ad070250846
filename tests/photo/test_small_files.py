"""A small file that is large inside takes what it asked for, or is refused before it takes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.photo.peak import peak
from tests.photos import encode, scene
from tests.security import coded, payloads

MEBIBYTE = 1 << 20
SMALL = 4 * MEBIBYTE
"""Bytes of a file at most."""
MAX_MEMORY = 384 * MEBIBYTE
"""As the gate has it by default."""
REFUSED = 16 * MEBIBYTE
"""What refusing one may take, beside as much as the file is large, twice."""


def _webp_with(name: bytes, size: int) -> bytes:
    photo = encode(scene(), "WEBP") + name + size.to_bytes(4, "little") + bytes(size)
    return photo[:4] + (len(photo) - 8).to_bytes(4, "little") + photo[8:]


FILES: dict[str, Callable[[], bytes]] = {
    "png of texts": lambda: payloads.png_of_texts(63),
    "png whose profile is large": lambda: payloads.png_with(
        payloads.png_chunk(b"iCCP", b"p\0\0" + payloads.deflated(64 * MEBIBYTE))
    ),
    "png whose xmp is large": lambda: payloads.png_with(
        payloads.png_chunk(b"iTXt", payloads.XMP_NAME + payloads.deflated(64 * MEBIBYTE)) * 20
    ),
    "png of 16 bits": lambda: payloads.png_16_bit(8000, 7900),
    "png of 60 MP": lambda: payloads.flat("PNG", 8000, 7500, "LA"),
    "tiff of one tile": lambda: payloads.tiff_of_one_tile(1000, 32_000, 22_000),
    "tiff of wide tiles": lambda: payloads.tiff_of_one_tile(1000, 1_000_000, 1),
    "tiff of a larger tile": lambda: payloads.tiff_of_one_tile(4000, 8000, 7000),
    "tiff read in two ways": lambda: payloads.tiff_read_in_two_ways(900_000),
    "tiff of large entries": lambda: payloads.tiff_with_directory(900, 3_000_000),
    "tiff in one strip": lambda: payloads.flat(
        "TIFF", 6000, 5000, compression="tiff_deflate", tiffinfo={278: 5000, 274: 6}
    ),
    "tiff as jpeg, progressive": lambda: payloads.tiff_of_a_jpeg(
        payloads.flat("JPEG", 5000, 4000, progressive=True, quality=10), 5000, 4000
    ),
    "tiff as jpeg in shared strips": lambda: coded.tiff_of_strips(
        payloads.progressive_with_scans(3000, 500, 80), 3000, 500, 8, shared=True
    ),
    "avif of two sizes": lambda: payloads.avif_of_two_sizes(400, 8000, 8000),
    "avif larger than it says": lambda: payloads.avif_larger_than_it_says(5000, 5000, 64),
    "avif of 25 MP": lambda: payloads.flat("AVIF", 5000, 5000, "RGBA", speed=10),
    "heic of two sizes": lambda: payloads.heic_of_two_sizes(400, 5000, 4000),
    "heic of large tiles": lambda: payloads.heic_of_large_tiles(64, 3, 1024),
    "webp of 20 MP": lambda: payloads.flat("WEBP", 5000, 4000, "RGBA", method=0),
    "webp of metadata": lambda: _webp_with(b"XMP ", 3 * MEBIBYTE),
    "webp of groups of codes": lambda: coded.webp_lossless(
        1024, coded.lossless_of_groups(1024, 65_536)
    ),
    "webp of fewer groups": lambda: coded.webp_lossless(480, coded.lossless_of_groups(480, 14_400)),
    "webp transparent by groups": lambda: coded.webp_of_alpha(
        480, coded.lossless_of_groups(480, 14_400)
    ),
    "gif of 60 MP": lambda: payloads.flat("GIF", 8000, 7500, "P"),
    "gif of filler": lambda: payloads.gif_with_filler(bytes(3 * MEBIBYTE)),
    "gif of comments": lambda: payloads.gif_of_comments(1_500_000),
    "bmp of run lengths": lambda: payloads.bmp_of_run_lengths(1200, 1200),
    "bmp of bits": lambda: payloads.flat("BMP", 6000, 5000, "1"),
    "jpeg as a strip": lambda: payloads.flat("JPEG", 26_860, 1343),
    "jpeg, progressive": lambda: payloads.flat("JPEG", 7000, 6000, progressive=True, subsampling=0),
    "jpeg of 100 MP": lambda: payloads.flat("JPEG", 11_000, 9500, quality=5),
    "jpeg of metadata": lambda: payloads.jpeg_with_exif(
        encode(scene()), payloads.directory(900, 3_000_000)
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_small_file_takes_no_more_than_it_asked_for(name: str, tmp_path: Path) -> None:
    photo = FILES[name]()
    assert len(photo) < SMALL
    measured = peak(photo, tmp_path, MAX_MEMORY)
    most = measured.asked or REFUSED + 2 * len(photo)
    assert measured.taken <= most, f"{measured.taken / 1e6:.0f} MB taken, {most / 1e6:.0f} foreseen"
    assert measured.asked <= MAX_MEMORY
