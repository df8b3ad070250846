from __future__ import annotations

from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.costs import costs_in_words, costs_notes


def test_costs_that_are_not_those_of_the_parent_are_told() -> None:
    figures = {"chosen_threshold": {"false_accept_cost": 10.0, "false_retake_cost": 2.0}}
    (note,) = costs_notes("gate:1", figures, CostSettings())
    assert "(false accept 10, false retake 2) than the child's (false accept 3, " in note
    assert note.endswith("--false-accept-cost 10 --false-retake-cost 2")
    same = CostSettings(false_accept_cost=5, false_retake_cost=1)
    assert costs_notes("gate:1", figures, same) == []  # only their ratio matters
    assert costs_notes("gate:1", {}, CostSettings(false_accept_cost=9)) == []
    assert costs_in_words(CostSettings()) == "false accept 3, false retake 1"
