from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from plantood.training.negatives.soil import bare_windows, ground_vegetation, why_not
from tests.training.negatives.pictures import soil, with_leaves

LEAVES = ((60, 40, 160, 120), (330, 180, 430, 300), (200, 330, 240, 380))


def test_windows_lie_between_the_leaves() -> None:
    photo = with_leaves(soil(), *LEAVES)
    leaf = np.zeros(photo.shape[:2], bool)
    for left, top, right, bottom in LEAVES:
        leaf[top:bottom, left:right] = True
    cut = bare_windows(photo, least_side=100, at_most=6)
    assert len(cut.accepted) >= 2
    assert cut.refused == ()
    for square in cut.accepted:
        assert square.side >= 100
        assert not leaf[square.place].any()
    assert cut.accepted[0].side == max(square.side for square in cut.accepted)


def test_the_search_ends_when_there_are_enough() -> None:
    photo = with_leaves(soil(), *LEAVES)
    assert len(bare_windows(photo, least_side=96, at_most=1).accepted) == 1


def test_bare_soil_is_one_large_window() -> None:
    """Otsu's threshold cuts it in two as well; nothing of it may pass for vegetation."""
    cut = bare_windows(soil(400, 500), least_side=200, at_most=6)
    assert [square.side for square in cut.accepted] == [400]
    assert not ground_vegetation(soil())[0].any()


@pytest.mark.parametrize("seed", range(4))
def test_nothing_but_leaves_gives_nothing(seed: int) -> None:
    """Otsu's threshold cuts leaves in two, too: the darker half is no ground."""
    photo = with_leaves(soil(seed=seed), (0, 0, 500, 400))
    cut = bare_windows(photo, least_side=96, at_most=6)
    assert cut.accepted == ()
    assert cut.refused == ()
    assert "vegetation everywhere" in cut.reason


def test_too_small_a_gap_is_told() -> None:
    photo = with_leaves(soil(), (0, 0, 500, 300))
    cut = bare_windows(photo, least_side=200, at_most=6)
    assert cut.accepted == ()
    assert cut.reason == "no window of 200 pixels is free of vegetation"


@pytest.mark.parametrize("level", [None, 0, 255])
def test_a_photo_without_colour_is_not_cut(level: int | None) -> None:
    grey = soil().mean(axis=-1, keepdims=True).astype(np.uint8)
    photo = (
        np.repeat(grey, 3, axis=-1) if level is None else np.full((300, 300, 3), level, np.uint8)
    )
    cut = bare_windows(photo, least_side=96, at_most=6)
    assert cut.accepted == ()
    assert "no colour" in cut.reason


def test_a_blurred_window_is_refused() -> None:
    blurred = np.asarray(Image.fromarray(soil()).filter(ImageFilter.GaussianBlur(12)))
    cut = bare_windows(blurred, least_side=200, at_most=6)
    assert cut.accepted == ()
    assert {refused.reason.partition(" ")[0] for refused in cut.refused} == {"too_blurry"}


def test_a_dark_window_is_refused() -> None:
    assert why_not((soil() // 12).astype(np.uint8), 0.2).startswith("too_dark")


def test_a_leaf_that_the_threshold_missed_is_found() -> None:
    """Among plants of a strong green the pale seedling falls below Otsu's threshold."""
    photo = soil()
    photo[:, 300:] = (20, 200, 20)
    pale = photo[150:158, 100:112].mean(axis=-1, keepdims=True)
    photo[150:158, 100:112] = (pale * np.array([0.98, 1.45, 0.75])).clip(0, 255)
    vegetation, threshold = ground_vegetation(photo)
    assert not vegetation[150:158, 100:112].any()
    cut = bare_windows(photo, least_side=200, at_most=6)
    assert all("still holds leaves" in refused.reason for refused in cut.refused)
    assert cut.refused
    assert why_not(soil()[:200, :200], threshold) == ""


def test_moss_is_refused() -> None:
    mossy = (soil() * np.array([0.85, 1.0, 0.85])).astype(np.uint8)
    assert why_not(mossy, 0.3).startswith("green all over")
