from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import exif, png
from plantood.photo.images import load_image
from plantood.photo.metadata import without_metadata
from tests.photos import encode, scene
from tests.security import payloads
from tests.security.payloads import png_chunk

PICTURE = encode(scene(160, 120), "PNG")
XMP = b'<rdf:Description tiff:Orientation="6"/>'


def _written(orientation: int) -> bytes:
    written = Image.Exif()
    written[exif.ORIENTATION_TAG] = orientation
    return written.tobytes()


def _raw_profile(orientation: int) -> bytes:
    data = _written(orientation)
    return b"\nexif\n%8d\n" % len(data) + data.hex().encode() + b"\n"


TURNED = {
    "exif": png_chunk(b"eXIf", _written(6).removeprefix(b"Exif\0\0")),
    "xmp": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "xmp, compressed": png_chunk(b"iTXt", payloads.XMP_NAME + zlib.compress(XMP)),
    "imagemagick": png_chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(_raw_profile(6))
    ),
    "imagemagick, plain": png_chunk(b"tEXt", b"Raw profile type exif\0" + _raw_profile(6)),
}


@pytest.mark.parametrize("name", TURNED)
@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_a_photo_is_turned_wherever_that_is_said_and_stays_so_when_kept(
    name: str, behind: bool
) -> None:
    place = len(PICTURE) - 12 if behind else 33
    photo = PICTURE[:place] + TURNED[name] + PICTURE[place:]
    loaded, kept = load_image(photo), load_image(without_metadata(photo)[0])
    assert (loaded.width, loaded.height) == (120, 160)
    assert np.array_equal(loaded.pixels, np.rot90(load_image(PICTURE).pixels, -1))
    assert np.array_equal(kept.pixels, loaded.pixels)


def test_a_decoder_is_given_no_texts() -> None:
    names = (b"iTXt", b"zTXt", b"tEXt", b"iCCP", b"prVt", b"sPLT", b"acTL")
    photo = payloads.png_with(b"".join(png_chunk(name, b"x\0abc") for name in names), PICTURE)
    assert png.read(photo).with_chunks(png.PICTURE) == PICTURE
    assert load_image(photo).width == 160


def test_a_text_is_inflated_no_further_than_an_orientation_may_stand() -> None:
    large = zlib.compress(b" " * (2 << 20) + XMP)
    photo = payloads.png_with(png_chunk(b"iTXt", payloads.XMP_NAME + large), PICTURE)
    assert png.read(photo).orientation == 1


def test_only_the_first_text_of_a_kind_is_inflated() -> None:
    broken = png_chunk(b"iTXt", payloads.XMP_NAME + zlib.compress(XMP)[:-5] + b"?????")
    right = png_chunk(b"iTXt", payloads.XMP_NAME + zlib.compress(XMP))
    assert png.read(payloads.png_with(broken * 50 + right)).orientation == 1


def test_what_is_no_chunk_is_refused() -> None:
    with pytest.raises(UnreadablePhoto, match="damaged"):
        png.read(payloads.png_with(b"\0\0\0\0\0\1\2\3" + bytes(4)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"iTXt", b"zTXt", b"tEXt", b"eXIf"]),
            st.sampled_from([b"", b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"]),
            st.binary(max_size=80),
        )
    ),
    st.binary(max_size=40),
)
def test_any_metadata_are_read_or_refused(
    parts: list[tuple[bytes, bytes, bytes]], behind: bytes
) -> None:
    chunks = b"".join(png_chunk(name, key + content) for name, key, content in parts)
    with suppress(UnreadablePhoto):
        cut_off = chunks + struct.pack(">I", 3) + b"prVt" + behind
        assert 1 <= png.read(payloads.png_with(cut_off, PICTURE)).orientation <= 8
    assert png.read(payloads.png_with(chunks, PICTURE)).with_chunks(png.PICTURE) == PICTURE


@given(st.sampled_from([b"tEXt", b"IDAT"]), st.integers(5_000, 7_000), st.binary(max_size=8))
def test_countless_small_pieces_are_always_refused(
    kind: bytes, pieces: int, content: bytes
) -> None:
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        png.read(PICTURE[:33] + png_chunk(kind, content) * pieces)
