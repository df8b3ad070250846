from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from plantood.training.review.agreement import agreement, pairs
from tests.training.review.rounds import numbered_log, say


def test_kappa_worked_out_by_hand() -> None:
    """Cohen's own kind of table: 20 and 15 alike of 50; by chance 0.5 * 0.6 + 0.5 * 0.4."""
    one = ["plant"] * 25 + ["other"] * 25
    other = ["plant"] * 20 + ["other"] * 5 + ["plant"] * 10 + ["other"] * 15
    found = agreement(one, other)
    assert found.share == 0.7
    assert found.kappa == pytest.approx((0.7 - 0.5) / (1 - 0.5))


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.choice(["plant", "other", "unsure"], 200, p=[0.7, 0.2, 0.1])
    other = np.where(rng.random(200) < 0.8, one, rng.choice(["plant", "other", "unsure"], 200))
    assert agreement(list(one), list(other)).kappa == pytest.approx(cohen_kappa_score(one, other))


def test_kappa_is_none_where_chance_alone_agrees() -> None:
    assert agreement(["plant"] * 3, ["plant"] * 3).kappa is None
    assert agreement(["plant"] * 3, ["other"] * 3).kappa == 0


def test_pairs_are_compared_by_their_first_look_and_by_what_stands(tmp_path: Path) -> None:
    log = numbered_log(tmp_path / "round", [0.1] * 4)
    for photo, (anna, ben) in enumerate(
        [("plant", "plant"), ("other", "other"), ("plant", "other")]
    ):
        say(log, photo, "anna", anna)
        say(log, photo, "ben", ben)
    say(log, 2, "ben", "plant")  # second look
    say(log, 3, "cleo", "plant")
    (pair,) = pairs(log)
    assert (pair.reviewers, pair.photos) == (("anna", "ben"), 3)
    assert pair.first.share == pytest.approx(2 / 3)
    assert (pair.now.share, pair.now.kappa) == (1, 1)
