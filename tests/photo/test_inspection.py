"""What looks through a stranger's file, in Python, is done in a moment, whatever the file.

It holds the interpreter's lock: while it works, no other photo is looked at, and no request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from plantood.errors import UnreadablePhoto
from plantood.photo.cost import Limits
from plantood.photo.images import load_image
from tests.photo import crowded
from tests.security.payloads import boxed, png_chunk

SECONDS = 0.9
"""Of the processor. Each takes at most 0.25 on an idle one, and took 0.4 to 8 before."""
MOST = Limits().max_bytes

FILES: dict[str, Callable[[], bytes]] = {
    "avif of units in tiles": lambda: crowded.avif_of_tiles(
        3_900, crowded.sequence(64, 7) + b"\x12\0" * 998
    ),
    "avif of points in tiles": lambda: crowded.avif_of_tiles(
        3_990, crowded.sequence(64, 7, points=8) * 8
    ),
    "heic of associations": lambda: crowded.heic_with_properties(
        crowded.associations(1_000, 255) * 80
    ),
    "heic of associations of nothing": lambda: crowded.heic_with_properties(
        crowded.associations(4_000, 0) * 900
    ),
    "heic of properties": lambda: crowded.heic_with_properties(
        boxed(b"ipco", boxed(b"free", b"") * 3_990) * 640
    ),
    "heic of sizes": lambda: crowded.heic_with_properties(
        boxed(b"ipco", crowded.full(b"ispe", bytes(8)) * 3_990) * 255
    ),
    "heic of units": lambda: crowded.heic_with_properties(
        boxed(b"ipco", crowded.record(1, 60_000) * 110)
    ),
    "heic of arrays": lambda: crowded.heic_with_properties(
        boxed(b"ipco", crowded.record(255, 0) * 3_900) * 6
    ),
    "gif of blocks": lambda: crowded.gif_of_blocks(1_990, 1_998),
    "webp of pictures": lambda: crowded.webp_of_several(1024),
    "tiff of jpegs": lambda: crowded.tiff_of_jpegs(256, 0),
    "tiff of segments": lambda: crowded.tiff_of_jpegs(8, 900),
    "jpeg of markers": lambda: crowded.jpeg_of_fill(MOST - 100_000, b"\xff"),
    "jpeg of restarts": lambda: crowded.jpeg_of_fill(MOST - 100_000, b"\xff\xd0"),
    "png of chunks": lambda: crowded.png_of_chunks([png_chunk(b"tEXt", bytes(1_700))] * 11_000),
}


@pytest.mark.parametrize("name", FILES)
def test_a_crowded_file_is_looked_through_in_a_moment(name: str) -> None:
    photo = FILES[name]()
    assert len(photo) <= MOST
    started = time.thread_time()
    with suppress(UnreadablePhoto):
        load_image(photo)
    assert time.thread_time() - started < SECONDS


def test_the_file_that_the_others_are_made_of_is_a_photo() -> None:
    assert load_image(crowded.heic_with_properties(b"")).width == 400
    assert load_image(crowded.heic_with_properties(crowded.associations(500, 8))).width == 400
