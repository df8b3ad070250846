from __future__ import annotations

import numpy as np
import pytest

from plantood.training.photos.vegetation import (
    chroma,
    excess_green,
    otsu_threshold,
    table_leaf_mask,
    vegetation_mask,
)
from tests.training.recipe.pictures import LEAF, SOIL, TABLE, ellipse, leaf_photo, textured


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        ((0, 255, 0), 2.0),
        ((255, 0, 0), -1.0),
        ((90, 90, 90), 0.0),
        ((50, 150, 40), 2 * 150 / 240 - 50 / 240 - 40 / 240),
        ((110, 85, 60), 0.0),
        ((0, 29, 0), 0.0),  # too dark to have a colour
        ((0, 0, 0), 0.0),
    ],
)
def test_excess_green_by_hand(pixel: tuple[int, int, int], expected: float) -> None:
    index = excess_green(np.full((2, 3, 3), pixel, np.uint8))
    assert index.dtype == np.float32
    np.testing.assert_allclose(index, np.full((2, 3), expected), atol=1e-6)


def test_chroma_by_hand() -> None:
    photo = np.array([[(255, 0, 0), (77, 77, 77), (10, 61, 30)]], np.uint8)
    np.testing.assert_allclose(chroma(photo), [[1.0, 0.0, 0.2]], atol=1e-6)


def exhaustive_otsu(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Variance between the halves for every cut, by its definition, without a histogram."""
    between = []
    for cut in cuts:
        low, high = values[values <= cut], values[values > cut]
        share = len(low) / len(values)
        spread = (
            share * (1 - share) * (low.mean() - high.mean()) ** 2 if len(low) * len(high) else 0
        )
        between.append(spread)
    return np.array(between)


def test_otsu_is_the_cut_of_most_variance_between_the_halves() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.08, 700), rng.normal(0.7, 0.12, 300)])
    cuts = np.linspace(values.min(), values.max(), 1001)[1:-1]
    between = exhaustive_otsu(values, cuts)
    found = otsu_threshold(values.astype(np.float32))
    assert found == pytest.approx(cuts[between.argmax()], abs=0.02)
    assert exhaustive_otsu(values, np.array([found]))[0] > 0.998 * between.max()


def test_otsu_by_hand() -> None:
    """Four bins with 4, 4, 0 and 2 values: 0.24 * 0.4167**2 against 0.16 * 0.625**2."""
    values = np.float32([0.0] * 4 + [0.3] * 4 + [1.0] * 2)
    assert otsu_threshold(values, bins=4) == 0.5
    assert otsu_threshold(values[:8], bins=2) == pytest.approx(0.15)


def test_otsu_separates_two_values_and_leaves_a_flat_photo_whole() -> None:
    two = np.array([[0.1] * 9 + [0.9]], np.float32)
    assert 0.1 < otsu_threshold(two) < 0.9
    flat = np.full((5, 5), 0.3, np.float32)
    assert not (flat > otsu_threshold(flat)).any()


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_a_green_leaf_on_soil_is_found(angle: float) -> None:
    leaf = ellipse(angle=angle)
    mask = vegetation_mask(leaf_photo(leaf, SOIL, LEAF))
    assert mask.dtype == bool
    assert overlap(mask, leaf) > 0.97


@pytest.mark.parametrize("table", [(8, 8, 8), TABLE, (235, 235, 235)])
@pytest.mark.parametrize("leaf_colour", [LEAF, (170, 140, 40), (120, 70, 30)])
def test_a_leaf_on_a_table_is_found_be_it_green_or_dry(
    table: tuple[int, int, int], leaf_colour: tuple[int, int, int]
) -> None:
    leaf = ellipse()
    assert overlap(table_leaf_mask(leaf_photo(leaf, table, leaf_colour)), leaf) > 0.97


def test_pale_veins_belong_to_the_leaf() -> None:
    leaf = ellipse()
    photo = leaf_photo(leaf, TABLE)
    vein = leaf & (np.abs(np.arange(224) - 112) < 8)[:, None]
    photo[vein] = (110, 150, 105)
    assert overlap(table_leaf_mask(photo), leaf) > 0.97


def test_bare_soil_and_a_grey_table_hold_no_leaf() -> None:
    assert not vegetation_mask(textured(colour=SOIL)).any()
    assert not table_leaf_mask(textured(colour=(130, 128, 125))).any()


def test_specks_are_no_plant() -> None:
    specks = np.zeros((64, 64), bool)
    specks[8::16, 8::16] = True
    assert not vegetation_mask(leaf_photo(specks)).any()
