from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plantood.model.parts.calibration import Calibration
from plantood.training.common.settings import CostSettings
from plantood.training.finetune.rule import ParentRule, judged_alike
from plantood.training.judging.decision.rule import LEFT_OUT
from plantood.training.judging.decision.threshold import choose_threshold
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.report.card import model_card
from plantood.training.train.judged import calibrated
from tests.training.conftest import make_photo


@pytest.fixture
def raw() -> Evaluation:
    """Forty plants and twenty others, mostly told apart."""
    photos = tuple(make_photo(str(n), int(n < 40)) for n in range(60))
    said = Scored(photos, np.linspace(0.99, 0.01, 60, dtype=np.float32))
    return Evaluation("gap", {"val": said, "test": said}, 0.5)


def card(made: Evaluation) -> str:
    return model_card(made.figures(), backbone="b", weights="w", head="gap", counts=[], bad=0)


def test_the_share_of_others_that_the_threshold_is_for(raw: Evaluation) -> None:
    assert "The share of others is taken to be 33.3%, as in these photos." in (
        card(calibrated(raw, CostSettings()))
    )
    assert "The share of others is taken to be 10.0%, as was given." in (
        card(calibrated(raw, CostSettings(share_of_others=0.1)))
    )
    # Ten frames of one scene: 11 scenes of others beside 40 plants.
    burst = replace(raw, groups={photo.sha256: 1 for photo in raw.splits["val"].photos[50:]})
    assert "The share of others is taken to be 21.6%, as in these photos." in (
        card(calibrated(burst, CostSettings()))
    )


def test_the_rule_of_a_parent(raw: Evaluation) -> None:
    chosen = choose_threshold([0, 1] * 9, [0.1, 0.9] * 9, share_of_others=0.3)
    own = ParentRule(Calibration(0.5), replace(chosen, carried_over=True), LEFT_OUT)

    def child(costs: CostSettings) -> str:
        return card(judged_alike(raw, raw, costs, own)[1])

    kept = child(CostSettings())
    assert "by the rule of its parent, which was chosen on the 9 plants and 9 others of" in kept
    assert "The share of others is taken to be 30.0%, as its parent's." in kept
    dear = child(CostSettings(false_accept_cost=9))
    assert "0.9000, with a false accept at 9 and a false retake at 1: Bayes' of these costs" in dear
    assert "taken to be 10.0%, as was given." in child(CostSettings(share_of_others=0.1))
