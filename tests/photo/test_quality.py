from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import bad_photos
from plantood.model.parts.policy import Policy, quality_reasons
from plantood.photo.images import load_image
from plantood.photo.quality import (
    SIDE,
    crispness,
    highlights,
    measure,
    picture_luma,
    shadows,
    sharpness,
    steadiness,
)
from plantood.verdict import ReasonCode
from tests.photos import encode, scene

POLICY = Policy()


def refused(photo: Image.Image | np.ndarray | bytes | Path) -> list[ReasonCode]:
    return quality_reasons(measure(load_image(photo)), POLICY)


@pytest.fixture(params=range(3))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


# --- the functions, against values worked out by hand


def test_luma_is_bt601_at_one_size() -> None:
    red = np.zeros((300, 400, 3), np.uint8)
    red[..., 0] = 200
    luma = picture_luma(red)
    assert luma.shape == (SIDE * 3 // 4, SIDE)
    assert luma.dtype == np.float32
    assert np.abs(luma - 0.299 * 200).max() < 1
    assert picture_luma(red[:50, :60]).shape == (50, 60)


def test_highlights_and_shadows_are_percentiles() -> None:
    ramp = np.arange(101, dtype=np.float32)[None].repeat(9, axis=0)
    assert highlights(ramp) == pytest.approx(95 / 255)
    assert shadows(ramp) == pytest.approx(5 / 255)


def test_crispness_of_a_step_by_hand() -> None:
    # One vertical step of height h in rows of n pixels. Differences along the rows: one of n - 5
    # windows holds h before the second blur and h / 5 after it, five windows hold h / 5 after it.
    # The same for both diagonals; none down the columns.
    height, n = 100.0, 40
    luma = np.zeros((n, n), np.float32)
    luma[:, n // 2 :] = height
    lost = 3 * (height**2 - (height / 5) ** 2) / (n - 5)
    total = 3 * height**2 / (n - 5)
    assert crispness(luma) == pytest.approx(lost / (total + 48), rel=1e-5)


def test_crispness_falls_with_blur_and_ignores_what_is_flat() -> None:
    image = scene()
    values = []
    for strength in (0.002, 0.01, 0.02, 0.04):
        blurred = bad_photos.defocus(np.asarray(image), strength, np.random.default_rng(0))
        values.append(crispness(picture_luma(blurred)))
    assert values == sorted(values, reverse=True)
    assert crispness(np.full((64, 64), 80, np.float32)) == 0


def test_steadiness_sees_motion_but_not_streaky_subjects() -> None:
    rng = np.random.default_rng(0)
    still = rng.normal(128, 40, (128, 128)).astype(np.float32)
    moved = np.mean([np.roll(still, step, axis=1) for step in range(16)], axis=0)
    assert steadiness(still) == 1
    assert steadiness(moved) < 0.4
    blades = still[:1].repeat(128, axis=0)  # detail in one direction, at every scale
    assert steadiness(blades) > 0.8
    assert steadiness(np.full((64, 64), 80, np.float32)) == 1


def test_tiny_photos_can_be_measured() -> None:
    for size in ((1, 1), (1, 300), (9, 9), (15, 320)):
        quality = measure(load_image(Image.new("RGB", size, "green")))
        assert 0 <= quality.sharpness <= 1
        assert ReasonCode.TOO_SMALL in quality_reasons(quality, POLICY)


# --- what it means


def test_a_good_photo_has_no_reason() -> None:
    assert refused(scene()) == []


def test_numbers_do_not_depend_on_resolution() -> None:
    large = scene(2400, 1800)
    expected = measure(load_image(encode(large)))
    for side in (1200, 600, 256):
        copy = large.copy()
        copy.thumbnail((side, side), Image.Resampling.LANCZOS)
        quality = measure(load_image(encode(copy, quality=90)))
        assert quality.sharpness == pytest.approx(expected.sharpness, abs=0.06)
        assert quality.highlights == pytest.approx(expected.highlights, abs=0.02)
        assert quality.shadows == pytest.approx(expected.shadows, abs=0.02)
    assert (expected.width, expected.height) == (2400, 1800)


@pytest.mark.parametrize("size", [(300, 225), (2000, 1500)])
def test_strong_defocus_is_blurry_at_any_resolution(
    size: tuple[int, int], rng: np.random.Generator
) -> None:
    pixels = np.asarray(scene(*size))
    assert refused(bad_photos.defocus(pixels, 0.025, rng)) == [ReasonCode.TOO_BLURRY]


@pytest.mark.parametrize("strength", [0.1, 0.2])
def test_strong_motion_is_blurry(strength: float, rng: np.random.Generator) -> None:
    for seed in range(5):
        moved = bad_photos.motion(np.asarray(scene(seed=seed)), strength, rng)
        assert refused(moved) == [ReasonCode.TOO_BLURRY]


def test_covered_lens_is_blurry(rng: np.random.Generator) -> None:
    for size in ((256, 192), (640, 480), (1600, 1200)):
        assert ReasonCode.TOO_BLURRY in refused(bad_photos.covered_lens(rng, size))


def test_black_frame_is_dark(rng: np.random.Generator) -> None:
    assert ReasonCode.TOO_DARK in refused(bad_photos.pocket(rng))


def test_black_frame_with_a_speck_of_light_is_dark() -> None:
    pixels = bad_photos.pocket(np.random.default_rng(0)).copy()
    pixels[:60, :60] = 250
    assert ReasonCode.TOO_DARK in refused(pixels)


def test_dark_and_bright_scenes(rng: np.random.Generator) -> None:
    pixels = np.asarray(scene())
    assert refused(bad_photos.dim(pixels, 0.5, rng)) == []
    assert ReasonCode.TOO_DARK in refused(bad_photos.dim(pixels, 0.1, rng))
    faded = (230 + pixels * 0.1).astype(np.uint8)
    assert ReasonCode.TOO_BRIGHT in refused(faded)


def test_dark_leaf_on_white_and_light_leaf_on_black_are_good() -> None:
    for ground, leaf in (((250, 250, 250), (20, 45, 20)), ((4, 4, 4), (120, 190, 90))):
        image = Image.new("RGB", (400, 400), ground)
        blade = scene(400, 400).resize((160, 200))
        blade = Image.blend(blade, Image.new("RGB", blade.size, leaf), 0.6)
        image.paste(blade, (120, 100))
        assert refused(image) == []


def test_sharp_leaf_before_a_smooth_background_is_sharp() -> None:
    background = np.asarray(scene(600, 600, seed=3))
    image = Image.fromarray(bad_photos.defocus(background, 0.03, np.random.default_rng(0)))
    assert refused(image) == [ReasonCode.TOO_BLURRY]
    image.paste(scene(240, 240, seed=4), (180, 180))
    assert refused(image) == []


def test_leaf_with_parallel_veins_is_sharp() -> None:
    veins = np.repeat(np.random.default_rng(1).normal(0, 25, (1, 64)), 400, axis=0)
    veins = np.repeat(veins, 7, axis=1)[:, :400, None]
    leaf = np.clip(veins + np.array([70, 140, 60]), 0, 255).astype(np.uint8)
    assert refused(leaf) == []


def test_nothing_is_lost_by_measuring_a_reduced_jpeg() -> None:
    large = scene(4000, 3000)
    reduced = measure(load_image(encode(large, quality=92)))
    whole = sharpness(picture_luma(np.asarray(large)))
    assert reduced.sharpness == pytest.approx(whole, abs=0.05)


# --- real photos


def test_real_plants_pass_and_agree_with_their_reduced_copies(shared: Path) -> None:
    originals = sorted((shared / "data" / "originals").glob("*.jpg"))
    photos = [photo for photo in originals if "receipts" not in photo.name]
    assert photos
    for photo in photos:
        quality = measure(load_image(photo))
        assert quality_reasons(quality, POLICY) == [], photo
        with Image.open(photo) as image:
            copy = image.convert("RGB")
        copy.thumbnail((256, 256), Image.Resampling.LANCZOS)
        reduced = measure(load_image(encode(copy, quality=90)))
        assert reduced.sharpness == pytest.approx(quality.sharpness, abs=0.07), photo
        assert reduced.highlights == pytest.approx(quality.highlights, abs=0.02), photo
        blurred = bad_photos.defocus(load_image(photo).pixels, 0.03, np.random.default_rng(0))
        assert ReasonCode.TOO_BLURRY in refused(blurred), photo


def test_few_real_photos_of_each_plant_source_are_refused(shared: Path) -> None:
    sources = ("cherry_orchard", "rice_leaf", "citrus_leaves", "deep_weeds", "maize_plantvillage")
    for source in sources:
        photos = sorted((shared / "data" / "images" / source).glob("*.jpg"))[::3]
        assert photos
        share = sum(bool(refused(photo)) for photo in photos) / len(photos)
        assert share <= 0.03, source
