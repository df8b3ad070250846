from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from PIL import Image, ImageCms

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import exif, webp
from plantood.photo.images import load_image
from tests.damage import damaged
from tests.photos import encode, scene

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif(orientation: int) -> Image.Exif:
    written = Image.Exif()
    written[exif.ORIENTATION_TAG] = orientation
    return written


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [False, True])
def test_the_decoder_is_given_the_picture_alone(mode: str, lossless: bool) -> None:
    picture = scene(160, 120).convert(mode)
    bare = encode(picture, "WEBP", lossless=lossless)
    photo = encode(
        picture, "WEBP", lossless=lossless, exif=_exif(6), xmp=b"<x/>", icc_profile=PROFILE
    )
    given_to_it = webp.bare(photo)
    assert given_to_it.orientation == 6
    assert not any(name in given_to_it.data for name in (b"EXIF", b"XMP ", b"ICCP"))
    assert np.array_equal(load_image(photo).pixels, np.rot90(load_image(bare).pixels, -1))


def test_xmp_is_asked_where_exif_says_nothing() -> None:
    photo = encode(scene(160, 120), "WEBP", xmp=b'<rdf:Description tiff:Orientation="8"/>')
    assert (load_image(photo).width, load_image(photo).height) == (120, 160)


def test_a_file_of_pieces_is_refused() -> None:
    photo = encode(scene(160, 120), "WEBP") + b"XMP \0\0\0\0" * 10_000
    photo = photo[:4] + (len(photo) - 8).to_bytes(4, "little") + photo[8:]
    with pytest.raises(UnreadablePhoto, match="made of headers"):
        load_image(photo)


@given(damaged(encode(scene(80, 60), "WEBP", exif=_exif(3), icc_profile=PROFILE)))
def test_a_damaged_file_is_taken_apart_or_refused(data: bytes) -> None:
    with suppress(UnreadablePhoto):
        photo = webp.bare(data)
        assert 1 <= photo.orientation <= 8
        assert len(photo.data) <= len(data) + 12


def test_of_an_animation_the_decoder_is_given_the_first_frame() -> None:
    pictures = [scene(160, 120, seed).convert("RGBA") for seed in range(3)]
    photo = encode(pictures[0], "WEBP", save_all=True, append_images=pictures[1:], exif=_exif(6))
    with Image.open(BytesIO(photo)) as whole, Image.open(BytesIO(webp.bare(photo).data)) as bare:
        assert (photo.count(b"ANMF"), webp.bare(photo).data.count(b"ANMF")) == (3, 1)
        assert np.array_equal(np.asarray(whole), np.asarray(bare))
    assert load_image(photo).width == 120


@pytest.mark.parametrize("twice", [b"VP8 ", b"ALPH"])
def test_a_picture_that_is_there_twice_is_refused(twice: bytes) -> None:
    picture = scene(160, 120)
    picture.putalpha(scene(160, 120, seed=1).convert("L"))
    photo = encode(picture, "WEBP").replace(b"ALPH", twice).replace(b"VP8 ", twice)
    with pytest.raises(UnreadablePhoto, match="two ways"):
        load_image(photo)


@pytest.mark.parametrize("lossy", [b"VP8 ", b"ALPH"])
def test_a_lossless_picture_beside_a_lossy_one_is_refused(lossy: bytes) -> None:
    photo = encode(scene(160, 120), "WEBP", lossless=True)
    photo += lossy + bytes(4)
    photo = photo[:4] + (len(photo) - 8).to_bytes(4, "little") + photo[8:]
    with pytest.raises(UnreadablePhoto, match="two ways"):
        load_image(photo)


@pytest.mark.parametrize("lossless", [False, True])
def test_a_picture_beside_a_film_is_refused(lossless: bool) -> None:
    pictures = [scene(160, 120, seed) for seed in range(2)]
    film = encode(pictures[0], "WEBP", save_all=True, append_images=pictures[1:], lossless=lossless)
    assert load_image(film).width == 160
    photo = film + encode(pictures[0], "WEBP", lossless=lossless)[12:]
    photo = photo[:4] + (len(photo) - 8).to_bytes(4, "little") + photo[8:]
    with pytest.raises(UnreadablePhoto, match="two ways"):
        load_image(photo)
