from __future__ import annotations

import numpy as np
import pytest

from plantood.model.parts.calibration import sigmoid
from plantood.model.parts.memory import Memory, remember
from plantood.training.adapt.correction.correct import none
from plantood.training.adapt.terms import Terms
from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.guarantee import guaranteed_threshold
from plantood.training.judging.decision.threshold import choose_threshold
from tests.training.adapt.correction.test_correct import CHANNELS, photos


@pytest.fixture(scope="module")
def memory() -> Memory:
    """Its pictures count so that a fifth of them are others."""
    known = photos(200, 0)
    weights = np.where(known.plant, 0.8 / known.plant.sum(), 0.2 / (~known.plant).sum())
    return remember(known.embedding, known.logit, known.plant, ["known"] * 200, weights)


def chosen(**values: float) -> dict[str, object]:
    made = choose_threshold([0, 1] * 9, [0.1, 0.9] * 9, **values)
    return {"chosen_threshold": made.as_dict()}


def test_the_threshold_that_was_served_is_preferred_for_the_same_costs(memory: Memory) -> None:
    same, other = CostSettings(6, 2), CostSettings(false_accept_cost=9)
    for figures in ({}, chosen()):
        assert Terms.from_figures(figures, 0.6, memory, CostSettings()).towards == 0.6
        assert Terms.from_figures(figures, 0.6, memory, same).towards == 0.6
        found = Terms.from_figures(figures, 0.6, memory, other)
        assert (found.towards, found.served) == (pytest.approx(0.9), 0.6)
    figures = chosen(false_accept_cost=9.0)
    assert Terms.from_figures(figures, 0.6, memory, other).towards == 0.6
    assert Terms.from_figures(figures, 0.6, memory, CostSettings()).towards == pytest.approx(0.75)


def test_the_share_is_the_parents_or_that_in_its_memory(memory: Memory) -> None:
    told = Terms.from_figures(chosen(share_of_others=0.3), 0.6, memory, CostSettings())
    assert (told.share_of_others, told.had, told.shift) == (0.3, 0.3, 0)
    assert "parent" in told.origin
    for figures in ({}, {"chosen_threshold": {"share_of_others": 1.0}}):
        silent = Terms.from_figures(figures, 0.6, memory, CostSettings())
        assert silent.share_of_others == pytest.approx(0.2)
        assert "memory" in silent.origin


def test_another_share_moves_every_probability_by_its_odds(memory: Memory) -> None:
    """Bayes' rule: the odds of a plant are those before, times the ratio of the prior odds."""
    figures = chosen(share_of_others=0.5)
    asked = Terms.from_figures(figures, 0.6, memory, CostSettings(share_of_others=0.9))
    x = photos(20, 1)
    before = sigmoid(none(CHANNELS).logit(x.logit, x.embedding))
    after = sigmoid(asked.moved(none(CHANNELS)).logit(x.logit, x.embedding))
    expected = 0.1 * before / (0.1 * before + 0.9 * (1 - before))
    np.testing.assert_allclose(after, expected, atol=1e-6)
    assert asked.costs.share_of_others == 0.9
    assert "50.0%" in asked.origin
    assert asked.served == 0.6
    assert asked.served_at == pytest.approx(0.1 * 0.6 / (0.1 * 0.6 + 0.9 * 0.4))


def test_what_was_promised(memory: Memory) -> None:
    labels = np.arange(800) % 2
    p = np.where(labels == 1, 0.9, 0.1)
    kept = guaranteed_threshold(labels, p, max_false_accept=0.01)
    found = Terms.from_figures({"guarantee": kept.as_dict()}, 0.6, memory, CostSettings())
    assert found.promise == "at most 1 % of others accepted, 95 % sure"
    broken = guaranteed_threshold(labels[:40], p[:40], max_false_accept=0.01)
    assert broken.threshold is None
    for figures in ({}, {"guarantee": broken.as_dict()}):
        assert Terms.from_figures(figures, 0.6, memory, CostSettings()).promise == ""
