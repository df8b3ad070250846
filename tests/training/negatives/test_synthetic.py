from __future__ import annotations

import numpy as np
import pytest

from plantood.training.negatives.synthetic import (
    FRAMES,
    black_frame,
    covered_lens,
    document,
    floor,
    plain_wall,
    smooth_field,
)
from plantood.training.photos.augment import SIDE

SEEDS = range(16)


def frames(name: str, *, unseen: bool = False) -> list[np.ndarray]:
    return [FRAMES[name](np.random.default_rng(seed), unseen=unseen) for seed in SEEDS]


def detail(frame: np.ndarray) -> float:
    """Mean step from a pixel to the one below, in grey levels."""
    return float(np.abs(np.diff(frame.astype(float).mean(-1), axis=0)).mean())


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("name", list(FRAMES))
def test_a_frame_is_a_function_of_its_seed(name: str, unseen: bool) -> None:
    first, again = frames(name, unseen=unseen)[:3], frames(name, unseen=unseen)[:3]
    for one, other in zip(first, again, strict=True):
        assert one.dtype == np.uint8
        assert one.shape == (SIDE, SIDE, 3)
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], first[1])


def test_unseen_settings_draw_other_frames() -> None:
    for name in FRAMES:
        assert not np.array_equal(frames(name)[0], frames(name, unseen=True)[0])


def test_black_frames_are_dark() -> None:
    assert max(frame.mean() for frame in frames("black_frame")) < 30
    assert max(np.percentile(frame, 99) for frame in frames("black_frame")) < 60
    # Unseen ones are as a group brighter than any level of training, yet dark.
    unseen = [frame.mean() for frame in frames("black_frame", unseen=True)]
    assert np.mean(unseen) > np.mean([frame.mean() for frame in frames("black_frame")])
    assert max(unseen) < 60


def test_a_covered_lens_shows_a_glow_without_detail_mostly_red() -> None:
    seen = frames("covered_lens")
    assert max(detail(frame) for frame in seen) < 9
    redder = [
        frame[..., 0].mean() > max(frame[..., 1].mean(), frame[..., 2].mean()) for frame in seen
    ]
    assert np.mean(redder) > 0.5


def test_a_wall_is_plain() -> None:
    for frame in frames("plain_wall"):
        assert detail(frame) < 5
        assert frame.mean() > 15
        hue = frame.astype(float) / (frame.astype(float).sum(-1, keepdims=True) + 1)
        assert hue.std((0, 1)).max() < 0.06


def test_a_floor_has_joints_and_a_document_has_print() -> None:
    walls = np.median([detail(frame) for frame in frames("plain_wall")])
    for name in ("floor", "document"):
        assert np.median([detail(frame) for frame in frames(name)]) > 2 * walls
    # Print: more contrast than any floor's joints.
    contrast = {n: np.median([f.mean(-1).std() for f in frames(n)]) for n in ("floor", "document")}
    assert contrast["document"] > 1.5 * contrast["floor"]


def test_smooth_field_is_slow_and_within_its_range() -> None:
    slow, fast = (smooth_field(np.random.default_rng(0), cells) for cells in (3, 60))
    for field in (slow, fast):
        assert field.shape == (SIDE, SIDE)
        assert 0.0 <= field.min() < field.max() <= 1.0
    assert np.abs(np.diff(slow)).mean() < 0.2 * np.abs(np.diff(fast)).mean()


def test_the_table_names_the_functions() -> None:
    assert [f.__name__ for f in FRAMES.values()] == list(FRAMES)
    assert set(FRAMES.values()) == {black_frame, covered_lens, plain_wall, floor, document}
