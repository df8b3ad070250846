from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plantood.training.starter.leave_out import Transfer, best_threshold, leave_out_scores, transfer
from plantood.training.starter.plan import Sample
from plantood.training.starter.train import _transfer_table

PLANTS = frozenset({"farm", "garden"})


def logits(*values: float) -> np.ndarray:
    return np.float32(values)


def test_transfer_by_hand() -> None:
    scores = {
        "farm": logits(2, 1, -1, 3),
        "garden": logits(0.5, 0.5),
        "street": logits(-2, -2, 1.5, -3, -4),
        "room": logits(-1),
    }
    found = transfer(scores, PLANTS, 0.5)
    assert found.kept == {"farm": 0.75, "garden": 1.0}
    assert found.false_accepts == {"street": 0.2, "room": 0.0}
    assert found.mean_kept == 0.875  # sources alike, not photos
    assert found.mean_false_accepts == 0.1
    assert found.cost() == pytest.approx(3 * 0.1 + 0.125)
    assert found.cost(false_accept=1, false_retake=4) == pytest.approx(0.6)
    strict = transfer(scores, PLANTS, 1 / (1 + np.exp(-0.9)))
    assert strict.kept == {"farm": 0.75, "garden": 0.0}
    assert strict.threshold == pytest.approx(0.7109, abs=1e-4)


def test_the_threshold_lies_in_the_middle_of_the_gap() -> None:
    assert best_threshold({"farm": logits(2), "street": logits(-2)}, PLANTS) == pytest.approx(
        0.5, abs=0.02
    )
    upper = best_threshold({"farm": logits(2.5), "street": logits(0.5)}, PLANTS)
    assert upper == pytest.approx(1 / (1 + np.exp(-1.5)), abs=0.02)


def test_a_false_accept_costs_three_false_retakes() -> None:
    """Keeping ``farm`` lets in a share of ``street``: worth it up to a third."""
    for wrong, worth_it in ((3, True), (4, False)):
        street = logits(*[1.0] * wrong, *[-2.0] * (10 - wrong))
        found = transfer(
            scores := {"farm": logits(0.5), "street": street},
            PLANTS,
            best_threshold(scores, PLANTS),
        )
        assert (found.kept["farm"] == 1) == worth_it
        assert (found.false_accepts["street"] == 0) == (not worth_it)


def test_the_threshold_is_the_best_of_an_exhaustive_search() -> None:
    rng = np.random.default_rng(0)
    scores = {
        "farm": rng.normal(1.2, 1, 60),
        "garden": rng.normal(0.8, 1, 40),
        "street": rng.normal(-1.0, 1, 80),
        "room": rng.normal(-0.4, 1, 30),
    }
    least = min(transfer(scores, PLANTS, t).cost() for t in np.linspace(0.05, 0.95, 500))
    assert transfer(scores, PLANTS, best_threshold(scores, PLANTS)).cost() <= least + 0.004


def test_each_source_is_scored_by_a_training_without_it() -> None:
    def photo(source: str) -> Sample:
        return Sample("photo", True, (source,), (), (Path(source),))

    samples = [
        photo("farm"),
        photo("street"),
        Sample("copy", True, ("farm",), (1,), (Path("farm"),)),
        Sample("planted", True, ("farm", "street"), (1,), (Path("farm"),)),
        photo("farm"),
    ]
    asked = []

    def train(left_out: frozenset[str], rows: np.ndarray) -> np.ndarray:
        asked.append((left_out, rows.tolist()))
        return rows.astype(np.float32)

    scores = leave_out_scores(samples, train, ["farm", "street"])
    assert asked == [(frozenset({"farm"}), [0, 4]), (frozenset({"street"}), [1])]
    assert {name: found.tolist() for name, found in scores.items()} == {
        "farm": [0.0, 4.0],
        "street": [1.0],
    }


def test_the_table_shows_every_source_and_the_means() -> None:
    scores = {"garden": logits(1, -1), "farm": logits(1), "street": logits(-1, -1, -1, 1)}
    header, rows = _transfer_table(scores, PLANTS, 0.5)
    assert header == ["source left out", "figure", "photos", "starter"]
    assert rows == [
        ["farm", "plants kept", "1", "100.0%"],
        ["garden", "plants kept", "2", "50.0%"],
        ["mean of 2 sources", "plants kept", "", "75.0%"],
        ["street", "false accepts", "4", "25.0%"],
        ["mean of 1 sources", "false accepts", "", "25.0%"],
    ]


def test_means_are_over_sources() -> None:
    assert Transfer(0.5, {"a": 1.0, "b": 0.0}, {"c": 0.25}).mean_kept == 0.5
