from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from plantood.training.photos.augment import SIDE
from plantood.training.recipe.composites import (
    CutOut,
    compose,
    crop_ground,
    cut_out,
    lance,
    recolour_ground,
    texture_leaf,
)
from tests.training.recipe.pictures import LEAF, ellipse, leaf_photo, textured

BLACK = np.zeros((SIDE, SIDE, 3), np.uint8)


def rng(seed: int = 0) -> Generator:
    return np.random.default_rng(seed)


def leaf(angle: float = 0.0, colour: tuple[int, int, int] | None = None) -> CutOut:
    mask = ellipse(angle=angle)
    cut = cut_out(leaf_photo(mask), mask)
    assert cut is not None
    if colour is not None:
        cut = cut.copy()
        cut[..., :3] = colour
    return cut


@pytest.mark.parametrize("angle", [0.0, 0.6, 1.57, 2.5])
def test_a_cut_out_lies_flat_and_holds_the_leaf_alone(angle: float) -> None:
    cut = leaf(angle)
    height, width = cut.shape[:2]
    assert cut.shape[2] == 4
    assert width == pytest.approx(2 * 0.36 * SIDE, rel=0.06)
    assert height == pytest.approx(2 * 0.16 * SIDE, rel=0.08)
    assert cut[0, 0, 3] == cut[-1, -1, 3] == 0
    solid = cut[cut[..., 3] == 255][:, :3].astype(int)
    assert np.abs(solid - LEAF).max() < 12, "ground came along"
    assert (cut[..., 3] > 100).sum() == pytest.approx(ellipse().sum(), rel=0.06)


def test_masks_that_are_no_cut() -> None:
    photo = leaf_photo(ellipse())
    thread = np.zeros((SIDE, SIDE), bool)
    thread[100:110] = True  # too thin
    for mask in (np.zeros_like(thread), np.ones_like(thread), ellipse(long=0.05), thread):
        assert cut_out(photo, mask) is None


@pytest.mark.parametrize("count", [1, 3])
def test_pasted_plants_cover_the_frame_within_the_bounds(count: int) -> None:
    cuts = [leaf(colour=(255, 255, 255))] * count
    cover = [(compose(BLACK, cuts, rng(seed)) > 100).any(-1).mean() for seed in range(60)]
    assert min(cover) > 0.8 * 0.05  # some of it hangs over the edge
    assert max(cover) < 0.60
    assert max(cover) > 3 * min(cover), "plants must come in several sizes"


def test_the_ground_stays_where_no_plant_is_pasted() -> None:
    ground = textured(SIDE, (150, 120, 100))
    for seed in range(10):
        picture = compose(ground, [leaf(colour=(0, 0, 255))], rng(seed))
        assert picture.shape == (SIDE, SIDE, 3)
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(
            picture, compose(ground, [leaf(colour=(0, 0, 255))], rng(seed))
        )
        # Nowhere lighter than the ground but under the leaf: only the shadow touches the rest.
        outside = picture[..., 2].astype(int) <= ground[..., 2].astype(int) + 1
        assert np.all(picture[outside] <= ground[outside].astype(int) + 1)
        assert (picture == ground).all(-1).mean() > 0.1


def test_something_else_reaches_in_from_the_edge() -> None:
    extra = leaf(colour=(255, 0, 0))
    for seed in range(20):
        picture = compose(BLACK, [leaf(colour=(0, 255, 0))], rng(seed), extra=extra)
        red = (picture[..., 0] > 150) & (picture[..., 1] < 60)
        assert red.mean() < 0.26
        if red.any():
            ys, xs = np.nonzero(red)
            assert min(ys.min(), xs.min(), SIDE - 1 - ys.max(), SIDE - 1 - xs.max()) < 0.25 * SIDE
    shown = [
        (compose(BLACK, [leaf(colour=(0, 255, 0))], rng(s), extra=extra)[..., 0] > 150).any()
        for s in range(20)
    ]
    assert np.mean(shown) > 0.7


def test_a_texture_leaf_has_the_outline_but_nothing_of_the_leaf() -> None:
    shape = leaf()
    seam = texture_leaf(textured(120, (160, 60, 160)), shape, rng())
    np.testing.assert_array_equal(seam[..., 3], shape[..., 3])
    assert np.all(seam[..., 1] < seam[..., 0])  # purple throughout


def test_crop_ground_takes_only_from_the_photo() -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    photo[..., 0], photo[..., 1] = np.mgrid[:60, :80]
    for seed in range(20):
        window = crop_ground(photo, rng(seed))
        assert window.shape == (SIDE, SIDE, 3)
        assert np.ptp(window[..., 0].astype(int)) >= 0.4 * 60
        assert window[..., 0].max() <= 59
        assert window[..., 1].max() <= 79
        assert window[..., 2].max() == 0
    assert crop_ground(np.zeros((16, 16, 3), np.uint8), rng()).shape == (SIDE, SIDE, 3)


def test_recoloured_ground_keeps_its_texture() -> None:
    ground = textured(64, (120, 100, 80))
    means = []
    for seed in range(20):
        other = recolour_ground(ground, rng(seed))
        assert np.corrcoef(other[..., 1].ravel(), ground[..., 1].ravel())[0, 1] > 0.99
        means.append(other.mean())
    assert max(means) > 2 * min(means)  # sand and wet soil


def test_a_lance_tapers_and_has_the_asked_aspect() -> None:
    solid = np.full((50, 90, 4), 255, np.uint8)
    blade = lance(solid, aspect=5.0)
    across = (blade[..., 3] > 0).sum(axis=0)
    assert blade.shape[1] / blade.shape[0] == pytest.approx(5.0)
    assert across[0] < across[20] < across[80]
    assert across[-1] < across[-20] < across[80]
    assert across[80] == blade.shape[0]
