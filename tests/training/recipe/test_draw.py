from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plantood.training.negatives.synthetic import FRAMES
from plantood.training.photos.augment import SIDE
from plantood.training.photos.vegetation import excess_green
from plantood.training.recipe import draw as drawing
from plantood.training.recipe.draw import MIN_LIGHT, bare_window, leaf_window
from plantood.training.recipe.plan import COUNTS
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import PLANT_KINDS, Sample
from tests.training.recipe.pictures import LEAF, SOIL, TABLE, ellipse, leaf_photo, save, textured


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("images")
    seedlings = np.zeros((160, 200), bool)
    seedlings[50:80, 20:60] = seedlings[90:130, 120:190] = True
    return {
        "table": save(folder, "apple_plantvillage", "0", leaf_photo(ellipse(96), TABLE)),
        "seedlings": save(folder, "seedlings", "0", leaf_photo(seedlings)),
        "beans": save(folder, "beans_uganda", "0", leaf_photo(ellipse(96))),
        "soil": save(folder, "soil_NHA078", "0", textured(96, SOIL)),
        "cloth": save(folder, "clothing", "0", textured(96, (170, 60, 160))),
        "hand": save(
            folder, "sign_digits_hands", "0", leaf_photo(ellipse(96), (9, 9, 9), (200, 140, 110))
        ),
        "night": save(folder, "blackgram_field", "0", leaf_photo(ellipse(96)) // 5),
    }


def draw(sample: Sample) -> np.ndarray:
    """As it is drawn where the names of the folders say how photos are cut."""
    green = {path for path in sample.paths if path.parent.name in ("seedlings", "beans_uganda")}
    between = {path for path in sample.paths if path.parent.name == "seedlings"}
    return drawing.draw_picture(sample, Cuts(frozenset(green), frozenset(between)))


def sample(kind: str, paths: dict[str, Path], seed: int = 0) -> Sample:
    """A sample as the plan makes it, of the photos above."""
    leaves = (paths["table"],) * 3
    photos = {
        "planted": leaves,
        "planted_toned": leaves,
        "bare": (),
        "seam": (*leaves[:2], paths["cloth"]),
        "green_seam": (*leaves[:2], paths["cloth"]),
        "window": (paths["seedlings"],),
        "ground": (paths["seedlings"],),
        "green": (paths["cloth"],),
    }.get(kind, () if kind in FRAMES else (paths["beans"],))
    composed = kind in ("planted", "planted_toned", "bare", "seam", "green_seam")
    return Sample(
        kind,
        kind in PLANT_KINDS | {"photo", "copy"},
        (),
        (seed,),
        photos,
        paths["soil"] if composed else None,
        paths["hand"] if kind == "bare" else None,
    )


@pytest.mark.parametrize("kind", ["photo", "copy", *COUNTS])
def test_pixels_are_a_function_of_the_sample(kind: str, paths: dict[str, Path]) -> None:
    first, again = draw(sample(kind, paths, 3)), draw(sample(kind, paths, 3))
    assert first.dtype == np.uint8
    assert first.shape == (SIDE, SIDE, 3)
    np.testing.assert_array_equal(first, again)
    if kind != "photo":
        assert not np.array_equal(first, draw(sample(kind, paths, 4)))


def test_a_photo_is_shown_as_it_is(paths: dict[str, Path]) -> None:
    picture = draw(sample("photo", paths))
    leaf = ellipse(SIDE)
    assert np.abs(picture[leaf].mean(0) - LEAF).max() < 4
    assert np.abs(picture[~leaf].mean(0) - SOIL).max() < 4


def green_share(picture: np.ndarray, least: float = 0.25) -> float:
    return float((excess_green(picture) > least).mean())


def test_planted_pictures_show_leaves_and_bare_ones_none(paths: dict[str, Path]) -> None:
    shares = {
        kind: np.array([green_share(draw(sample(kind, paths, seed))) for seed in range(15)])
        for kind in ("planted", "bare", "seam", "window")
    }
    assert np.median(shares["planted"]) > 0.05
    assert np.mean(shares["planted"] > 0.02) > 0.7
    for kind in ("bare", "seam", "window"):
        # Now and then a strong white balance turns the whole frame green, but no leaf shows.
        assert np.median(shares[kind]) < 0.005, kind


def test_green_seams_are_green_but_no_plants(paths: dict[str, Path]) -> None:
    greens = [green_share(draw(sample("green_seam", paths, seed)), 0.1) for seed in range(15)]
    seams = [green_share(draw(sample("seam", paths, seed)), 0.1) for seed in range(15)]
    assert np.mean(greens) > np.mean(seams) + 0.05
    assert not sample("green_seam", paths).plant


def test_a_plant_that_nobody_can_see_is_brightened(paths: dict[str, Path]) -> None:
    others = []
    for seed in range(12):
        dark = Sample("copy", True, (), (seed,), (paths["night"],))
        other = Sample("copy", False, (), (seed,), (paths["night"],))
        assert draw(dark).mean() > MIN_LIGHT - 2
        others.append(draw(other).mean())
    assert min(others) < MIN_LIGHT - 5


def test_black_frames_stay_dark(paths: dict[str, Path]) -> None:
    means = [draw(sample("black_frame", paths, seed)).mean() for seed in range(20)]
    assert np.median(means) < 25
    assert max(means) < 80


def test_where_no_leaf_can_be_cut_the_photo_itself_is_copied(paths: dict[str, Path]) -> None:
    """So that no picture is called *plant* that shows bare ground."""
    beans = paths["beans"]
    flat = save(beans.parents[1], "beans_uganda", "flat", np.full((64, 64, 3), 200, np.uint8))
    picture = draw(Sample("planted", True, (), (5,), (flat,) * 3, paths["soil"]))
    same = draw(Sample("copy", True, (), (5,), (flat,)))
    np.testing.assert_array_equal(picture, same)


def test_windows_find_the_bare_and_the_leafy_part() -> None:
    photo = leaf_photo(np.arange(200)[None, :].repeat(160, 0) < 100)  # left half green
    for seed in range(6):
        rng = np.random.default_rng(seed)
        bare, leafy = bare_window(photo, rng), leaf_window(photo, rng)
        assert bare.shape == leafy.shape == (SIDE, SIDE, 3)
        assert green_share(bare) < 0.02
        assert green_share(leafy) > 0.6


@pytest.mark.parametrize("kind", ["photo", "copy", *sorted(COUNTS.keys() - FRAMES.keys())])
@pytest.mark.parametrize("size", [(12, 12), (12, 300), (300, 3), (1, 1)])
def test_tiny_photos_are_drawn_as_others_are(
    kind: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """A strip of a few pixels is a photo that can be read, so it may be in any role."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    tiny = save(tmp_path, "tiny", "0", pixels)
    for seed in range(4):
        drawn = Sample(kind, kind in PLANT_KINDS, (), (seed,), (tiny,) * 3, tiny, tiny)
        for between in (frozenset[Path](), frozenset([tiny])):
            picture = drawing.draw_picture(drawn, Cuts(between, between))
            assert picture.shape == (SIDE, SIDE, 3)
            assert picture.dtype == np.uint8
