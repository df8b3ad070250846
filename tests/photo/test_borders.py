from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import bad_photos, overlays
from benchmarks.overlays import CASES, Overlay
from benchmarks.quality_around import reasons
from plantood.model.parts.policy import Policy, quality_reasons
from plantood.photo.borders import border, captions, picture_box, strokes
from plantood.photo.images import load_image
from plantood.photo.quality import measure
from plantood.verdict import ReasonCode
from tests.photos import scene

POLICY = Policy()


def refused(pixels: np.ndarray) -> list[ReasonCode]:
    return quality_reasons(measure(load_image(pixels)), POLICY)


@pytest.fixture(params=CASES)
def around(request: pytest.FixtureRequest) -> Overlay:
    return CASES[request.param]


@pytest.fixture(params=range(3))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


# --- the advice is that of the photo inside


def test_a_blurred_photo_is_blurry(around: Overlay, rng: np.random.Generator) -> None:
    blurred = bad_photos.defocus(np.asarray(scene()), 0.025, rng)
    assert refused(around(blurred, rng)) == [ReasonCode.TOO_BLURRY]


def test_a_dark_photo_is_dark(around: Overlay, rng: np.random.Generator) -> None:
    dark = bad_photos.dim(np.asarray(scene()), 0.125, rng)
    assert ReasonCode.TOO_DARK in refused(around(dark, rng))


def test_a_faded_photo_in_a_black_frame_is_bright(rng: np.random.Generator) -> None:
    faded = (235 + np.asarray(scene()) * 0.08).astype(np.uint8)
    for name in ("black frame", "letterbox", "text bar below", "coloured frame"):
        assert ReasonCode.TOO_BRIGHT in refused(CASES[name](faded, rng)), name


def test_a_good_photo_is_good(around: Overlay, rng: np.random.Generator) -> None:
    for seed in range(3):
        assert refused(around(np.asarray(scene(seed=seed)), rng)) == []


def test_a_framed_photo_has_the_numbers_of_the_photo(rng: np.random.Generator) -> None:
    photo = np.asarray(scene(1200, 900))
    bare = measure(load_image(photo))
    for name in ("white frame", "black frame", "wide frame", "letterbox", "text bars"):
        framed = measure(load_image(CASES[name](photo, rng)))
        for cue in ("brightness", "highlights", "shadows", "sharpness"):
            assert getattr(framed, cue) == pytest.approx(getattr(bare, cue), abs=0.06), (name, cue)


@pytest.mark.parametrize("size", [(256, 192), (192, 256), (500, 500), (2000, 1500)])
def test_it_holds_at_any_size(size: tuple[int, int], rng: np.random.Generator) -> None:
    sharp = np.asarray(scene(*size))
    blurred = bad_photos.defocus(sharp, 0.025, rng)
    for name in ("date and place", "text bars", "white frame", "date in a frame"):
        assert refused(CASES[name](blurred, rng)) == [ReasonCode.TOO_BLURRY], name
        assert refused(CASES[name](sharp, rng)) == [], name


def test_a_dark_photo_in_a_white_frame_by_hand() -> None:
    photo = Image.new("RGB", (400, 300), "white")
    dark = scene(360, 260).point(lambda value: value // 10)
    photo.paste(dark, (20, 20))
    assert ReasonCode.TOO_DARK in quality_reasons(measure(load_image(photo)), POLICY)


# --- what is no border


@pytest.mark.parametrize("of", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("at", [(0.5, 0.5), (0.3, 0.65), (0.7, 0.35), (0.5, 0.8), (0.4, 0.1)])
def test_a_sharp_leaf_before_a_blur_is_sharp(
    of: float, at: tuple, rng: np.random.Generator
) -> None:
    sharp = np.asarray(scene(seed=4))
    blurred = bad_photos.defocus(sharp, 0.03, rng)
    assert refused(overlays.with_a_sharp_leaf(sharp, blurred, of, at)) == []


def test_photos_without_borders_are_measured_whole() -> None:
    soil = np.random.default_rng(0).normal(110, 25, (192, 256))
    rows_of_a_crop = np.sin(np.arange(256) / 3) * 60 + soil
    sky = np.linspace(250, 190, 96)[:, None].repeat(256, axis=1)
    field = np.concatenate([sky, soil[:96]])
    leaf_on_white = np.full((192, 256), 250.0)
    y, x = np.mgrid[:192, :256]
    leaf_on_white[((x - 128) / 90) ** 2 + ((y - 96) / 70) ** 2 < 1] = 90
    uniform = 120 + 10 * np.sin(x / 70) + 8 * np.cos(y / 50)
    for luma in (soil, rows_of_a_crop, field, leaf_on_white, uniform, np.full((192, 256), 3.0)):
        assert picture_box(luma.astype(np.float32)) == (0, 0, 256, 192)


def test_tiny_and_elongated_pictures_have_a_box() -> None:
    for size in ((1, 1), (1, 20), (20, 1), (3, 60), (64, 1280)):
        for value in (0, 255):
            luma = np.full(size, value, np.float32)
            assert picture_box(luma) == (0, 0, size[1], size[0])
        noise = np.random.default_rng(1).uniform(0, 255, size).astype(np.float32)
        left, top, right, bottom = picture_box(noise)
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]


def test_of_bars_in_bars_enough_is_left() -> None:
    luma = np.random.default_rng(0).uniform(60, 200, (96, 96)).astype(np.float32)
    luma[:60], luma[60:80] = 250, 0
    for seen in (luma, luma[::-1], luma.T, luma.T[::-1]):
        left, top, right, bottom = picture_box(seen)
        assert sorted((right - left, bottom - top)) == [96 - 62, 96]


@pytest.mark.parametrize("ratio", [5, 10, 20])
def test_panoramas_are_judged_as_other_photos(ratio: int, rng: np.random.Generator) -> None:
    panorama = np.concatenate([np.asarray(scene(480, 360, seed=i)) for i in range(ratio)], axis=1)
    panorama = panorama[:, : ratio * 360]
    for upright in (False, True):
        photo = panorama.transpose(1, 0, 2) if upright else panorama
        assert refused(np.ascontiguousarray(photo)) == []
        sigma = 0.08 * 360 / max(photo.shape)
        assert refused(bad_photos.defocus(photo, sigma, rng)) == [ReasonCode.TOO_BLURRY]


# --- the functions, against values worked out by hand


def test_border_of_a_frame_by_hand() -> None:
    luma = np.full((100, 80), 240, np.float32)
    luma[20:, 5:-5] = np.random.default_rng(0).uniform(0, 200, (80, 70))
    assert border(luma) == 20 + 2  # and the rows that hold some of both
    assert picture_box(luma) == (5 + 2, 20 + 2, 80 - 5 - 2, 100)


def test_border_goes_on_below_a_line_of_text() -> None:
    luma = np.full((100, 80), 240, np.float32)
    luma[6:12, 10:60:2] = 0
    luma[20:] = 90
    assert border(luma) == 22
    luma[6:12, 10:75] = 0  # a bar across, and no text: it is the photo's
    assert border(luma) == 8


def test_no_border_ends_in_a_slope() -> None:
    luma = np.full((100, 80), 240, np.float32)
    for column in range(80):
        luma[20 + column // 4 :, column] = 90
    assert border(luma) == 0


def test_strokes_by_hand() -> None:
    row = np.array([0, 90, 90, 0, 0, 90, 60, 80, 0], np.float32)  # up, down, up, down, -, down
    assert strokes(np.stack([row, row / 9, row[::-1]]), 25).tolist() == [3, 0, 3]


def test_captions_by_hand() -> None:
    luma = np.full((100, 80), 120, np.float32)
    luma[80:86, 10:40:3] = 250  # ten strokes of one pixel: 19 changes
    assert captions(luma) == (0, 100 - 80 + 8)
    assert captions(luma[::-1]) == (100 - 80 + 8, 0)
    crisp = luma.copy()
    crisp[30:40, 10:40:3] = 170  # the rest can speak for itself
    assert captions(crisp) == (0, 0)
    grass = luma.copy()
    grass[70:, 10:40:3] = 250  # taller than letters
    assert captions(grass) == (0, 0)
    margin_of_a_leaf = luma.copy()
    margin_of_a_leaf[82:] = 120  # lower than letters
    assert captions(margin_of_a_leaf) == (0, 0)
    few = luma.copy()
    few[:, 25:] = 120
    assert captions(few) == (0, 0)


# --- real photos


def plants(shared: Path, step: int) -> list[Path]:
    sources = (
        "apple_plantvillage", "beans_uganda", "blackgram_field", "cherry_orchard",
        "citrus_leaves", "deep_weeds", "maize_plantvillage", "plant_seedlings", "rice_leaf",
    )  # fmt: skip
    images = shared / "data" / "images"
    return [path for source in sources for path in sorted((images / source).glob("*.jpg"))[::step]]


def test_no_real_plant_is_lost_by_looking_for_borders(shared: Path) -> None:
    photos = plants(shared, 5)
    assert photos
    for path in photos:
        whole, inside = reasons(load_image(path))
        assert whole or not inside, path


def test_real_photos_get_the_advice_of_the_photo_inside(shared: Path, around: Overlay) -> None:
    rng = np.random.default_rng(5)
    photos = plants(shared, 150)
    assert len(photos) >= 18
    blurry = dark = good = 0
    for path in photos:
        pixels = overlays.enlarged(load_image(path).pixels, 400)
        blurred = around(bad_photos.defocus(pixels, 0.03, rng), rng)
        blurry += ReasonCode.TOO_BLURRY in refused(blurred)
        dark += ReasonCode.TOO_DARK in refused(around(bad_photos.dim(pixels, 0.125, rng), rng))
        good += refused(around(pixels, rng)) == []
    assert blurry >= 0.85 * len(photos)  # the least: red letters on green, as bright as it is
    assert dark >= 0.95 * len(photos)
    assert good == len(photos)
