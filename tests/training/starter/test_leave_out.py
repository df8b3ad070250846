from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plantood.training.judging.unseen import Accepted, mean_share
from plantood.training.recipe.samples import Sample
from plantood.training.starter.leave_out import Unseen, best_threshold, cost, leave_each_out

PLANTS = frozenset({"farm", "garden"})


def unseen(**logits: list[float] | np.ndarray) -> Unseen:
    sources = [name for name, own in logits.items() for _ in own]
    plant = np.array([source in PLANTS for source in sources])
    return Unseen(sources, plant, 1 / (1 + np.exp(-np.concatenate([*logits.values()]))))


def test_the_cost_by_hand() -> None:
    found = [
        Accepted("farm", "plant", 4, 0.75),
        Accepted("garden", "plant", 40, 1.0),
        Accepted("street", "other", 5, 0.2),
        Accepted("room", "other", 1, 0.0),
    ]
    assert cost(found) == pytest.approx(3 * 0.1 + 0.125)  # sources alike, not photos


def test_the_threshold_lies_in_the_middle_of_the_gap() -> None:
    assert best_threshold(unseen(farm=[2], street=[-2])) == pytest.approx(0.5, abs=0.02)
    upper = best_threshold(unseen(farm=[2.5], street=[0.5]))
    assert upper == pytest.approx(1 / (1 + np.exp(-1.5)), abs=0.02)


def test_a_false_accept_costs_three_false_retakes() -> None:
    """Keeping ``farm`` lets in a share of ``street``: worth it up to a third."""
    for wrong, worth_it in ((3, True), (4, False)):
        scores = unseen(farm=[0.5], street=[*[1.0] * wrong, *[-2.0] * (10 - wrong)])
        found = scores.accepted(best_threshold(scores))
        assert (mean_share(found, "plant") == 1) == worth_it
        assert (mean_share(found, "other") == 0) == (not worth_it)


def test_the_threshold_is_the_best_of_an_exhaustive_search() -> None:
    rng = np.random.default_rng(0)
    scores = unseen(
        farm=rng.normal(1.2, 1, 60),
        garden=rng.normal(0.8, 1, 40),
        street=rng.normal(-1.0, 1, 80),
        room=rng.normal(-0.4, 1, 30),
    )
    least = min(cost(scores.accepted(t)) for t in np.linspace(0.05, 0.95, 500))
    assert cost(scores.accepted(best_threshold(scores))) <= least + 0.004


def test_each_source_is_scored_by_a_training_without_it() -> None:
    def photo(source: str) -> Sample:
        return Sample("photo", source == "farm", (source,), (), (Path(source),))

    samples = [
        Sample("copy", True, ("farm",), (1,), (Path("farm"),)),
        photo("farm"),
        photo("street"),
        Sample("planted", True, ("farm", "street"), (1,), (Path("farm"),)),
        photo("farm"),
    ]
    asked = []

    def train(left_out: frozenset[str], rows: np.ndarray) -> np.ndarray:
        asked.append((left_out, rows.tolist()))
        return rows.astype(np.float32)

    found = leave_each_out(samples, train)
    assert asked == [(frozenset({"farm"}), [1, 4]), (frozenset({"street"}), [2])]
    assert found.sources == ["farm", "street", "farm"]
    assert found.plant.tolist() == [True, False, True]
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp([-1.0, -2.0, -4.0])))
