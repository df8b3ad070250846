from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats.heif import av1, isobmff
from plantood.photo.images import load_image
from tests.photo import crowded
from tests.photos import encode, scene
from tests.security import payloads


def _bits(*fields: tuple[int, int]) -> bytes:
    """Values, each in so many bits, and ones up to the next byte."""
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def _unit(kind: int, content: bytes) -> bytes:
    return bytes([kind << 3 | 2, len(content)]) + content


def _sequence(side: int, bits: int) -> bytes:
    """Of a stream that is no still picture, and whose frames may say what they want."""
    start = [(0, 3), (0, 1), (0, 1), (0, 1), (0, 1), (0, 5), (0, 12), (0, 5)]
    sides = [(bits - 1, 4), (bits - 1, 4), (side - 1, bits), (side - 1, bits)]
    tools = [(0, 1), (0, 3), (0, 4), (0, 1), (1, 1), (1, 1)]
    return _unit(1, _bits(*start, *sides, *tools, (0, 16)))


def _frame(own_size: int) -> bytes:
    """A key frame that is shown: no screen content, and whether it has a size of its own."""
    return _unit(6, _bits((0, 1), (0, 2), (1, 1), (0, 1), (0, 1), (own_size, 1), (0, 24)))


@pytest.mark.parametrize("size", [(64, 64), (641, 479), (5000, 300)])
def test_the_size_is_that_which_the_encoder_was_given(size: tuple[int, int]) -> None:
    photo = isobmff.bare(payloads.flat("AVIF", *size))
    assert size[0] * size[1] <= photo.pixels <= (size[0] + 8) * (size[1] + 8)
    assert photo.work == photo.pixels


def test_the_first_picture_of_an_animation_is_as_large_as_its_encoder_was_given() -> None:
    """Its sequence header is one of videos, with all its fields."""
    pictures = [scene(641, 479, seed) for seed in range(2)]
    photo = encode(pictures[0], "AVIF", speed=10, save_all=True, append_images=pictures[1:])
    assert isobmff.bare(photo).pixels == 641 * 479


@pytest.mark.parametrize("first", [64, 5000])
def test_the_largest_of_several_sizes_counts(first: int) -> None:
    stream = b"".join(_sequence(side, 13) for side in (first, 5064 - first, 64)) + _frame(0)
    assert av1.frames(stream) == av1.Frames(5000 * 5000, 1, 4)


def test_a_frame_with_a_size_of_its_own_is_as_large_as_it_can_say() -> None:
    assert av1.frames(_sequence(64, 14) + _frame(0)).pixels == 64 * 64
    assert av1.frames(_sequence(64, 14) + _frame(1)).pixels == 1 << 28


def test_all_frames_count() -> None:
    assert av1.frames(_sequence(64, 14) + _frame(0) * 40).count == 40


def test_a_stream_of_countless_pieces_is_refused() -> None:
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        av1.frames(_sequence(64, 14) + b"\x12\0" * 100_000)


def test_a_stream_with_more_points_than_layers_is_refused() -> None:
    assert av1.frames(crowded.sequence(64, 7, points=8)).pixels == 64 * 64
    with pytest.raises(UnreadablePhoto, match="video"):
        av1.frames(crowded.sequence(64, 7, points=9))


def test_a_photo_whose_stream_has_two_sizes_is_refused() -> None:
    photo = payloads.avif_of_two_sizes(400, 4000, 4000)
    with pytest.raises(PhotoTooLarge, match="far more than the 160,000"):
        load_image(photo)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_picture_or_refused(noise: bytes, begun: bool) -> None:
    try:
        frames = av1.frames((_sequence(64, 14) if begun else b"") + noise)
    except UnreadablePhoto:
        return
    assert 0 < frames.pixels <= 1 << 32
    assert 0 < frames.count <= av1.MAX_UNITS
