from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from plantood.errors import RoundError, UnreadablePhoto
from tests.photos import encode, scene
from tests.training.review.rounds import make_round
from training.review.pictures import SIDE, THUMBNAILS, Pictures
from training.rounds.layout import Round


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    return make_round(tmp_path / "round", 2)


def replace_first(round_: Round, content: bytes, suffix: str = ".jpg") -> str:
    photo = round_.mined()[0]
    path = round_.path / photo.file
    path.unlink()
    path.with_suffix(suffix).write_bytes(content)
    return photo.id


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def test_a_thumbnail_is_small_upright_and_without_metadata(round_: Round) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}  # GPS
    photo = replace_first(round_, encode(scene(2000, 1500), exif=exif))
    thumbnail = opened(Pictures(round_).thumbnail(photo).result())
    assert thumbnail.format == "JPEG"
    assert thumbnail.size == (SIDE * 3 // 4, SIDE)
    assert not thumbnail.getexif()


def test_a_thumbnail_is_made_once(round_: Round) -> None:
    pictures = Pictures(round_)
    photo = round_.mined()[0]
    first = pictures.thumbnail(photo.id).result()
    (round_.path / photo.file).unlink()
    assert Pictures(round_).thumbnail(photo.id).result() == first
    with pytest.raises(RoundError):
        pictures.preview(photo.id).result()


def test_one_cut_off_by_a_power_cut_is_made_again(round_: Round) -> None:
    photo = round_.mined()[0].id
    first = Pictures(round_).thumbnail(photo).result()
    (kept,) = (round_.path / THUMBNAILS).rglob("*.jpg")
    kept.write_bytes(b"")
    assert Pictures(round_).thumbnail(photo).result() == first


def test_thumbnails_are_made_ahead(round_: Round) -> None:
    pictures = Pictures(round_)
    photos = [photo.id for photo in round_.mined()]
    pictures.make_ahead([*photos, "f" * 64])
    pictures.ahead.join(60)
    kept = {path.stem for path in (round_.path / THUMBNAILS).rglob("*.jpg")}
    assert kept == set(photos)


def test_a_photo_that_cannot_be_read_says_so(round_: Round) -> None:
    photo = replace_first(round_, b"no photo")
    with pytest.raises(UnreadablePhoto):
        Pictures(round_).thumbnail(photo).result()


def test_a_format_that_browsers_do_not_show_gets_a_preview(round_: Round) -> None:
    pictures = Pictures(round_)
    photo = replace_first(round_, encode(scene(300, 200), "TIFF"), ".tiff")
    assert pictures.file(photo) is None
    assert opened(pictures.preview(photo).result()).size == (300, 200)
    other = round_.mined()[1]
    assert pictures.file(other.id) == (round_.path / other.file, "image/jpeg")
