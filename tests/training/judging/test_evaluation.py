from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from plantood.model.parts.calibration import Calibration
from plantood.training.common.intervals import FEWEST
from plantood.training.judging.decision.calibration import FittedCalibration
from plantood.training.judging.decision.guarantee import Guarantee, guaranteed_threshold
from plantood.training.judging.evaluation import NAMED, Evaluation, Scored, interval_notes
from plantood.training.judging.metrics import calibration_error
from tests.training.conftest import make_photo


@pytest.fixture
def evaluation() -> Evaluation:
    """Thirty plants of one source and ten others of another, calibrated."""
    photos = tuple(
        make_photo(str(i), int(i < 30), "farm" if i < 30 else "street") for i in range(40)
    )
    raw = Scored(photos, np.linspace(0.99, 0.01, 40, dtype=np.float32))
    fitted = FittedCalibration("platt", Calibration(0.5, 0.7), plants=30, others=10)
    return Evaluation(
        "gap",
        {"test": Scored(photos, fitted.apply(raw.probabilities))},
        threshold=0.6,
        calibration=fitted,
        uncalibrated={"test": raw},
        guarantee=guaranteed_threshold([0, 1], [0.1, 0.9], max_false_accept=0.01),
    )


def test_calibration_before_and_after(evaluation: Evaluation) -> None:
    told = json.loads(json.dumps(evaluation.figures()))["calibration"]
    assert told["calibration"] == {"slope": 0.5, "intercept": 0.7, "margin": 0.0, "pictures": 0}
    error = told["error"]["test"]
    for when, scored in (
        ("before", evaluation.uncalibrated["test"]),
        ("after", evaluation.splits["test"]),
    ):
        assert error[when] == calibration_error(scored.labels, scored.probabilities)
    assert error["before"] != error["after"]
    assert told["error"]["test"]["after"] == pytest.approx(
        evaluation.figures()["splits"]["test"]["at_half"]["calibration_error"]
    )


def test_figures_are_of_the_share_that_is_expected(evaluation: Evaluation) -> None:
    rare = replace(evaluation, share_of_others=0.01).figures()
    assert rare["share_of_others"] == 0.01
    assert (
        rare["splits"]["test"]["at_half"]["precision"]
        > (evaluation.figures()["splits"]["test"]["at_half"]["precision"])
    )
    assert rare["calibration"]["error"] != evaluation.figures()["calibration"]["error"]


def test_what_was_promised_is_in_the_figures(evaluation: Evaluation) -> None:
    told = json.loads(json.dumps(evaluation.figures()))["guarantee"]
    assert told["others_missing"] == 298
    assert Guarantee.of(told) == evaluation.guarantee


def test_slices_of_too_few_photos_are_named(evaluation: Evaluation) -> None:
    (words,) = interval_notes(evaluation.figures())
    assert words.startswith(f"Under {FEWEST} photos")
    assert "street, other, in test (10)" in words
    assert "farm" not in words
    sources = tuple(make_photo(str(i), 1, f"source-{i}") for i in range(NAMED + 2))
    many = Evaluation("m", {"test": Scored(sources, np.ones(NAMED + 2, np.float32))}, 0.5)
    (words,) = interval_notes(many.figures())
    assert words.count("in test (1)") == NAMED
    assert words.endswith("; and 2 more.")
    plants = evaluation.splits["test"].photos[:30]
    enough = Evaluation("m", {"test": Scored(plants, np.ones(30, np.float32))}, 0.5)
    assert interval_notes(enough.figures()) == []


def test_frames_of_one_scene_make_intervals_too_narrow() -> None:
    photos = tuple(make_photo(str(i), int(i < 40)) for i in range(80))
    scored = Scored(photos, np.ones(80, np.float32))
    made = Evaluation("m", {"test": scored}, 0.5)
    assert made.figures()["splits"]["test"]["scenes"] == {"plant": 40, "other": 40}
    burst = replace(made, groups={photo.sha256: n // 8 for n, photo in enumerate(photos[40:])})
    assert burst.figures()["splits"]["test"]["scenes"] == {"plant": 40, "other": 5}
    (words,) = interval_notes(burst.figures())
    assert "40 others in test show 5 scenes" in words
    assert words.endswith("too narrow by that.")
