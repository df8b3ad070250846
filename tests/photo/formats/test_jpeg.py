"""The header of a JPEG, and its segments, read from anything."""

from __future__ import annotations

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import jpeg
from plantood.photo.images import load_image
from tests.damage import damaged
from tests.photos import encode, scene
from tests.security import coded

PICTURE = scene(160, 120)
PHOTOS = {
    "baseline": encode(PICTURE),
    "progressive": encode(PICTURE, progressive=True),
    "cmyk": encode(PICTURE.convert("CMYK")),
    "restarts": encode(PICTURE, restart_marker_blocks=3, comment=b"a comment"),
}

_MARKERS = st.integers(0, 255) | st.sampled_from([0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xE0, 0xE1, 0xEE])


@st.composite
def segments(draw: st.DrawFn) -> bytes:
    """One segment, of which the length may be wrong."""
    content = draw(
        st.binary(max_size=40) | st.just(b"Exif\0\0II*\0") | st.just(b"Adobe" + bytes(7))
    )
    length = draw(st.just(len(content) + 2) | st.integers(0, 0xFFFF))
    return struct.pack(">BBH", 0xFF, draw(_MARKERS), length) + content


def _ensure_read(data: bytes) -> None:
    try:
        photo = jpeg.read(data)
    except UnreadablePhoto:
        return
    except ValueError as error:
        assume("not enough values" not in str(error))  # known: the test of no components
        raise
    assert 0 <= photo.width <= 0xFFFF
    assert 0 <= photo.height <= 0xFFFF
    assert 1 <= photo.orientation <= 8
    assert photo.coefficients >= 0
    assert photo.data.startswith(jpeg.START_OF_IMAGE)
    assert photo.data.endswith(jpeg.END_OF_IMAGE)
    assert len(photo.data) <= len(data) + 40  # the end marker, and Adobe's segment whole


@given(st.lists(segments(), max_size=12), st.binary(max_size=200))
def test_any_segments_are_a_header_or_refused(parts: list[bytes], scan: bytes) -> None:
    _ensure_read(jpeg.START_OF_IMAGE + b"".join(parts) + scan)


@pytest.mark.parametrize("name", PHOTOS)
@given(data=st.data())
def test_a_damaged_header_is_read_or_refused(name: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from(sorted(PHOTOS)))
    _ensure_read(data.draw(damaged(PHOTOS[name], PHOTOS[other])))


def test_a_frame_of_no_components_is_refused() -> None:
    photo = PHOTOS["progressive"]
    components = photo.index(b"\xff\xc2") + 9
    with pytest.raises(UnreadablePhoto):
        jpeg.read(photo[:components] + b"\0" + photo[components + 1 :])


@given(st.lists(segments(), max_size=12), st.binary(max_size=200))
def test_segments_follow_one_another_and_end(parts: list[bytes], noise: bytes) -> None:
    data = jpeg.START_OF_IMAGE + b"".join(parts) + noise
    behind = len(jpeg.START_OF_IMAGE)
    for marker, start, content in jpeg.segments(data):
        assert start >= behind
        assert data[start : start + 2] == bytes([0xFF, marker])
        behind = start + 2 + len(content)


@given(st.sampled_from(sorted(PHOTOS)), st.integers(0, 10_000))
def test_a_header_that_broke_off_is_refused(name: str, at: int) -> None:
    photo = PHOTOS[name]
    scan = photo.index(b"\xff\xda")
    with pytest.raises(UnreadablePhoto):
        jpeg.read(photo[: at % scan])


@pytest.mark.parametrize(("factor", "scale"), [(0, 1), (1, 1), (2, 2), (3, 2), (7, 4), (9, 8)])
def test_the_pixels_that_come_out_are_counted_at_their_scale(factor: int, scale: int) -> None:
    photo = jpeg.read(encode(scene(801, 600)))
    height, width = photo.decode(factor).shape[:2]
    assert (width, height) == (-(-801 // scale), -(-600 // scale))
    assert photo.memory(factor) >= 7 * width * height
    assert photo.memory(factor) - len(photo.data) <= 8 * width * height


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"\xff\xd8" * 1_000_000, id="start markers"),
        pytest.param(b"\xff\xd8" + b"\xff" * 1_000_000, id="padding"),
        pytest.param(b"\xff\xd8" + b"\xff\xd0" * 1_000_000, id="restart markers"),
        pytest.param(b"\xff\xd8" + b"\xff\xe1\x00\x02" * 500_000, id="empty segments"),
        pytest.param(b"\xff\xd8" + b"\x00" * 1_000_000, id="zeros"),
    ],
)
def test_a_file_of_headers_is_refused(junk: bytes) -> None:
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        load_image(junk)


@pytest.mark.parametrize("more", [{"comment": b"x" * 60_000}, {"icc_profile": bytes(4_000_000)}])
def test_a_large_comment_or_colour_profile_passes(more: dict[str, bytes]) -> None:
    assert load_image(encode(PICTURE, **more)).width == 160


@pytest.mark.parametrize(
    "between", [b"\xff" * 100, b"\xff\xfe\x00\x04hi" * (jpeg.MAX_SEGMENTS // 2)]
)
def test_padding_and_segments_pass_up_to_their_limit(between: bytes) -> None:
    photo = PHOTOS["baseline"]
    assert load_image(photo[:2] + between + photo[2:]).width == 160


def test_arithmetic_coding_is_refused() -> None:
    photo = coded.jpeg_arithmetic(800, 600, 10)
    with pytest.raises(UnreadablePhoto, match="compressed in a way that no photo is"):
        load_image(photo)


@pytest.mark.parametrize("frame", sorted(set(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}))
def test_only_huffman_coded_dct_is_decoded(frame: int) -> None:
    """Neither lossless nor hierarchical frames, nor arithmetic coding."""
    photo = PHOTOS["baseline"].replace(b"\xff\xc0", bytes([0xFF, frame]), 1)
    with pytest.raises(UnreadablePhoto, match="compressed in a way that no photo is"):
        jpeg.read(photo)
    assert load_image(PHOTOS["baseline"].replace(b"\xff\xc0", b"\xff\xc1", 1)).width == 160
