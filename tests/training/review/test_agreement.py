from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from plantood.training.review.agreement import agreement_of, pairs
from tests.training.review.rounds import numbered_log, say


def test_kappa_worked_out_by_hand() -> None:
    """Cohen's own kind of table: 20 and 15 alike of 50; by chance 0.5 * 0.6 + 0.5 * 0.4."""
    one = ["plant"] * 25 + ["other"] * 25
    other = ["plant"] * 20 + ["other"] * 5 + ["plant"] * 10 + ["other"] * 15
    found = agreement_of(one, other)
    assert found.share == 0.7
    assert found.interval == pytest.approx((0.562, 0.809), abs=5e-4)
    assert found.kappa == pytest.approx((0.7 - 0.5) / (1 - 0.5))


def test_kappa_of_three_labels_worked_out_by_hand() -> None:
    """Alike are 4 of 6; by chance (3 * 2 + 2 * 2 + 1 * 2) / 36 = 1/3."""
    one = ["plant", "plant", "plant", "other", "other", "unsure"]
    other = ["plant", "plant", "other", "other", "unsure", "unsure"]
    found = agreement_of(one, other)
    assert found.share == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))


def test_kappa_is_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    for count in (1, 2, 7, 40):
        for labels in (["plant", "other"], ["plant", "other", "unsure"]):
            for _ in range(20):
                one, other = draw.choice(labels, (2, count)).tolist()
                if len({*one, *other}) > 1:
                    found = agreement_of(one, other).kappa
                    assert found == pytest.approx(cohen_kappa_score(one, other))


def test_kappa_is_none_where_chance_alone_agrees() -> None:
    assert agreement_of(["plant"] * 3, ["plant"] * 3).kappa is None
    assert agreement_of(["plant"] * 3, ["other"] * 3).kappa == 0


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
