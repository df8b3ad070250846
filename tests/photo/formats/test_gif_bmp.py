from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantood.errors import UnreadablePhoto
from plantood.photo.formats.gif_bmp import MAX_BLOCKS, ensure_plain_bmp, ensure_short_gif
from plantood.photo.images import load_image
from tests.photo import crowded
from tests.security import payloads

GIF = b"GIF89a" + bytes(7)
"""As far as what stands before the picture."""


@given(
    st.sampled_from([b"GIF87a", b"GIF89a", b"BM"]),
    st.lists(st.binary(max_size=20) | st.just(b"!\xfe\x01x\0")),
    st.integers(1, 3 * MAX_BLOCKS),
)
def test_anything_passes_or_is_refused(start: bytes, parts: list[bytes], times: int) -> None:
    data = start + b"".join(parts) * times
    for ensure in (ensure_short_gif, ensure_plain_bmp):
        with suppress(UnreadablePhoto):
            ensure(data)


@given(st.integers(2 * MAX_BLOCKS, 3 * MAX_BLOCKS), st.binary(max_size=8))
def test_countless_small_pieces_are_always_refused(pieces: int, content: bytes) -> None:
    block = b"!\xfe" + bytes([len(content)]) + content + (b"\0" if content else b"")
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        ensure_short_gif(GIF + block * pieces)


def test_blocks_are_counted_over_all_extensions() -> None:
    assert load_image(crowded.gif_of_blocks(20, 190)).width == 640
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        load_image(crowded.gif_of_blocks(20, 200))


@pytest.mark.parametrize("filler", [b"\0", b"\0" * 1_000_000, b"\xff" * 1_000_000])
def test_what_stands_in_a_gif_without_saying_anything_is_not_looked_through(filler: bytes) -> None:
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        load_image(payloads.gif_with_filler(filler))
    assert load_image(payloads.gif_with_filler(b"")).width == 8


def test_run_lengths_of_a_bmp_are_not_walked_through() -> None:
    with pytest.raises(UnreadablePhoto, match="compressed"):
        load_image(payloads.bmp_of_run_lengths(300, 300))
