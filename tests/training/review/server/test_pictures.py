from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.training.review.server.pictures import SIDE, THUMBNAILS, Pictures
from plantood.training.rounds.layout import NoPhoto, Round
from tests.photos import encode, scene
from tests.training.review.rounds import make_round
from tests.training.review.serving import reviewing


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
    with pytest.raises(NoPhoto):
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
    file, media_type = pictures.file(other.id)
    with file:
        assert (file.read(), media_type) == ((round_.path / other.file).read_bytes(), "image/jpeg")


def test_a_photo_with_too_many_bytes_is_not_decoded(round_: Round) -> None:
    photo = replace_first(round_, b"")
    os.truncate(round_.photo_path(photo), 21 * 2**20)
    with pytest.raises(PhotoTooLarge, match="22,020,096 bytes"):
        Pictures(round_).preview(photo).result()


def test_a_photo_may_have_as_many_bytes_as_the_limits_in_force_allow(round_: Round) -> None:
    """Or what was mined under them could not be reviewed."""
    photo = replace_first(round_, encode(scene(300, 200)))
    os.truncate(round_.photo_path(photo), 21 * 2**20)
    with reviewing(round_.path, PLANTOOD_MAX_UPLOAD_MB="22") as server:
        answer = httpx.get(f"{server.url}previews/{photo}")
        assert answer.status_code == 200, answer.text
        assert opened(answer.content).size == (300, 200)


def looks(round_: Round, photo: str) -> list[Callable[[], object]]:
    pictures = Pictures(round_)
    return [
        lambda: pictures.thumbnail(photo).result(20),
        lambda: pictures.preview(photo).result(20),
        lambda: pictures.file(photo),
    ]


@pytest.mark.parametrize("depth", range(3))  # the photo, its folder, the folder of all photos
def test_no_link_leads_out_of_the_round(round_: Round, tmp_path: Path, depth: int) -> None:
    photo = round_.mined()[0]
    path = round_.path / photo.file
    inside = [path, *path.parents][depth]
    inside.rename(tmp_path / "outside")
    inside.symlink_to(tmp_path / "outside")
    for look in looks(round_, photo.id):
        with pytest.raises(NoPhoto, match="with no link on the way"):
            look()
    other = round_.mined()[1]
    if depth < 2:
        assert len([look() for look in looks(round_, other.id)]) == 3


def test_the_round_itself_may_be_reached_by_a_link(round_: Round, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(round_.path)
    linked = Round.open(tmp_path / "link")
    assert all(look() for look in looks(linked, linked.mined()[0].id))


def test_nobody_waits_for_a_pipe(round_: Round) -> None:
    photo = round_.mined()[0]
    path = round_.path / photo.file
    path.unlink()
    os.mkfifo(path)
    for look in looks(round_, photo.id):
        with pytest.raises(NoPhoto, match="is no file"):
            look()


def test_nothing_else_is_shown_for_a_thumbnail(round_: Round, tmp_path: Path) -> None:
    photo = round_.mined()[0].id
    right = Pictures(round_).thumbnail(photo).result()
    (kept,) = (round_.path / THUMBNAILS).rglob("*.jpg")
    kept.unlink()
    (tmp_path / "secret").write_bytes(b"secret")
    kept.symlink_to(tmp_path / "secret")
    assert Pictures(round_).thumbnail(photo).result() == right
    kept.unlink()
    os.mkfifo(kept)
    assert Pictures(round_).thumbnail(photo).result(20) == right
    assert (tmp_path / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("folder", [THUMBNAILS, f"{THUMBNAILS}/AB"])
def test_no_thumbnail_is_written_through_a_link(round_: Round, tmp_path: Path, folder: str) -> None:
    photo = round_.mined()[0].id
    (tmp_path / "outside").mkdir()
    link = round_.path / folder.replace("AB", photo[:2])
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "outside")
    assert Pictures(round_).thumbnail(photo).result()
    assert not list((tmp_path / "outside").iterdir())
