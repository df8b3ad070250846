from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from PIL import Image

from plantood.training.photos import augment as bend
from plantood.training.photos.augment import SIDE, augmented, brighten, fit, paint_green, to_bytes
from tests.training.recipe.pictures import ellipse, leaf_photo

PHOTO = leaf_photo(ellipse(120))[:90]
KEEP_SIZE = (
    bend.relight,
    bend.split_tone,
    bend.paint_green,
    bend.shade,
    bend.soften,
    bend.add_noise,
    bend.recompress,
)
Bend = Callable[[np.ndarray, Generator], np.ndarray]


def rng(seed: int = 0) -> Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("change", [*KEEP_SIZE, bend.frame_anew, augmented])
def test_a_copy_is_a_function_of_its_seed(change: Bend) -> None:
    before = PHOTO.copy()
    for seed in range(8):
        first, again = change(PHOTO, rng(seed)), change(PHOTO, rng(seed))
        np.testing.assert_array_equal(first, again)
        assert first.dtype == np.uint8
        shape = PHOTO.shape if change in KEEP_SIZE else (SIDE, SIDE, 3)
        assert first.shape == shape
    np.testing.assert_array_equal(PHOTO, before)
    copies = {change(PHOTO, rng(seed)).tobytes() for seed in range(12)}
    assert len(copies) > 8, "other seeds must give other copies"


def test_augment_without_geometry_leaves_everything_in_its_place() -> None:
    leaf = ellipse()
    photo = leaf_photo(leaf, leaf=(40, 220, 40), ground=(90, 60, 90))
    for seed in range(20):
        copy = augmented(photo, rng(seed), geometry=False).astype(int)
        greener = copy[..., 1] - copy[..., 0] / 2 - copy[..., 2] / 2
        assert greener[leaf].mean() > greener[~leaf].mean() + 10


def test_fit_keeps_the_whole_photo() -> None:
    ramp = np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], 60, 0).repeat(3, 2)
    fitted = fit(ramp)
    assert fitted.shape == (SIDE, SIDE, 3)
    assert fitted[:, 0].max() <= 2
    assert fitted[:, -1].min() >= 253
    assert fit(fitted) is fitted


def test_stepping_back_lays_the_photo_around_it() -> None:
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    empty = [(bend.frame_anew(white, rng(seed)) < 250).any(-1).mean() for seed in range(80)]
    assert np.median(empty) == 0
    assert max(empty) < 0.15


def test_frame_anew_comes_closer_steps_back_and_keeps_the_middle_in_view() -> None:
    leaf = ellipse(long=0.2, short=0.2)
    photo = np.where(leaf[..., None], np.uint8(255), np.uint8([0, 0, 0]))
    shares = np.array([(bend.frame_anew(photo, rng(s)) > 128).mean() for s in range(60)])
    assert shares.min() > 0.2 * leaf.mean()
    assert (shares < 0.8 * leaf.mean()).any()
    assert (shares > 1.3 * leaf.mean()).any()


def test_split_tone_colours_shadows_and_lights_differently() -> None:
    grey = np.linspace(60, 200, 64)[None, :, None].repeat(64, 0).repeat(3, 2).astype(np.uint8)
    apart = []
    for seed in range(30):
        toned = bend.split_tone(grey, rng(seed)).astype(float) + 1.0
        tint = toned / toned.sum(-1, keepdims=True)
        apart.append(np.abs(tint[:, :10].mean((0, 1)) - tint[:, -10:].mean((0, 1))).max())
    assert np.mean(np.array(apart) > 0.02) > 0.8


def test_painted_green_is_green_and_keeps_its_texture() -> None:
    cloth = np.random.default_rng(0).integers(40, 220, (64, 64, 3)).astype(np.uint8)
    for seed in range(20):
        painted = paint_green(cloth, rng(seed))
        hue, _, value = np.moveaxis(np.asarray(Image.fromarray(painted).convert("HSV")), -1, 0)
        assert 25 < np.median(hue) < 125  # of 256: 35 to 176 degrees
        np.testing.assert_array_equal(value, cloth.max(-1))


def test_brighten() -> None:
    dark = np.full((4, 4, 3), 10, np.uint8)
    assert np.all(brighten(dark, 30.0) == 30)
    assert brighten(dark, 10.0) is dark
    assert brighten(np.zeros((4, 4, 3), np.uint8), 30.0).max() == 0


def test_soften_takes_detail_and_noise_adds_it() -> None:
    sharp = np.random.default_rng(0).integers(60, 190, (96, 96, 3)).astype(np.uint8)
    flat = np.full((96, 96, 3), 128, np.uint8)

    def detail(photo: np.ndarray) -> float:
        return float(np.abs(np.diff(photo.astype(float), axis=0)).mean())

    softened = [detail(bend.soften(sharp, rng(seed))) for seed in range(20)]
    assert np.median(softened) < 0.7 * detail(sharp)
    assert max(softened) <= 1.1 * detail(sharp)
    assert min(detail(bend.add_noise(flat, rng(seed))) for seed in range(20)) > 1.0


def test_shade_only_darkens() -> None:
    flat = np.full((SIDE, SIDE, 3), 200, np.uint8)
    for seed in range(20):
        shaded = bend.shade(flat, rng(seed))
        assert shaded.max() <= 200
        assert shaded.min() < shaded.max()
        assert shaded.min() >= 200 * 0.3 - 1


def test_recompressed_is_near_the_photo_but_lossy() -> None:
    photo = leaf_photo(ellipse(96))
    for seed in range(8):
        again = bend.recompress(photo, rng(seed))
        assert 0 < np.abs(again.astype(int) - photo).mean() < 20


def test_to_bytes_clips() -> None:
    assert to_bytes(np.array([-5.0, 0.9, 254.9, 300.0])).tolist() == [0, 0, 254, 255]
