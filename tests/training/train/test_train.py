from __future__ import annotations

import numpy as np
import pytest

from plantood.model.parts.calibration import sigmoid
from plantood.training.common.settings import CostSettings
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.metrics import cross_entropy
from plantood.training.train.judged import calibrated
from plantood.training.train.train import best_of
from tests.training.conftest import make_photo

PHOTOS = tuple(make_photo(str(n), n % 2) for n in range(400))


def scored(slope: float, noise: float, moved: float = 0.0) -> Scored:
    """Logits of two classes that overlap the more, the more noise; then a line of them."""
    x = np.random.default_rng(0).normal([-2.0, 2.0] * 200, noise)
    return Scored(PHOTOS, sigmoid(slope * x + moved).astype(np.float32))


def raw_loss(one: Scored) -> float:
    return float(cross_entropy(one.labels, one.probabilities).mean())


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0)])
def test_the_best_head_is_that_of_the_lowest_loss_in_the_report(
    weights: tuple[float, float],
) -> None:
    # One tells the classes apart better, but says it in a voice that calibration has to raise.
    raw = {"sure": scored(1.0, 2.0), "timid": scored(0.1, 1.0, -np.log(weights[0] / weights[1]))}
    assert raw_loss(raw["sure"]) < raw_loss(raw["timid"])
    evaluations = {
        name: calibrated(Evaluation(name, {"val": one}, 0.5), CostSettings(), weights)
        for name, one in raw.items()
    }
    losses = {
        name: one.figures()["splits"]["val"]["at_half"]["loss"] for name, one in evaluations.items()
    }
    assert losses["timid"] < losses["sure"]
    assert best_of(evaluations) == "timid"


def test_it_is_of_the_share_that_is_expected() -> None:
    plant = np.array([n % 2 == 1 for n in range(400)])
    good_at = {
        name: Scored(PHOTOS, np.where(mine, np.where(plant, 0.99, 0.01), 0.5).astype(np.float32))
        for name, mine in (("plants", plant), ("others", ~plant))
    }
    for share, best in ((0.05, "plants"), (0.95, "others")):
        evaluations = {
            name: Evaluation(name, {"val": one}, 0.5, share_of_others=share)
            for name, one in good_at.items()
        }
        assert best_of(evaluations) == best
