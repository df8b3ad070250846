from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plantood.training.common.settings import CostSettings
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.train.judged import calibrated, judged_facts, threshold_notes
from tests.training.conftest import make_photo


def burst(scenes: int) -> tuple[Evaluation, dict[str, int]]:
    """60 plants, and 60 others of so many scenes."""
    photos = tuple(make_photo(str(i), int(i < 60)) for i in range(120))
    groups = {photo.sha256: i % scenes for i, photo in enumerate(photos) if not photo.label}
    rng = np.random.default_rng(0)
    p = np.where(np.arange(120) < 60, rng.uniform(0.7, 0.9, 120), rng.uniform(0.3, 0.6, 120))
    return Evaluation("gap", {"val": Scored(photos, p.astype(np.float32))}, 0.5), groups


@pytest.mark.parametrize(("scenes", "told"), [(1, "few to choose another by"), (20, "is few")])
def test_photos_of_one_scene_are_one_where_a_threshold_is_chosen(scenes: int, told: str) -> None:
    evaluation, groups = burst(scenes)
    alone = calibrated(evaluation, CostSettings())
    assert threshold_notes(alone) == []
    made = calibrated(replace(evaluation, groups=groups), CostSettings())
    (note,) = threshold_notes(made)
    assert told in note
    rests = f"60 plants and 60 others (of 60 and {scenes} scenes)"
    assert rests in note
    assert f"from {rests} of the validation split" in dict(judged_facts(made))["threshold"]
    assert made.calibration is not None
    # One scene of a class is nothing to calibrate by.
    assert (made.calibration.method == "none") == (scenes == 1)
    assert scenes > 1 or made.threshold == 0.75
