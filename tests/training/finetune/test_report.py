from __future__ import annotations

from dataclasses import replace

import pytest

from plantood.training.finetune.report import promise_notes
from plantood.training.judging.decision.guarantee import guaranteed_threshold
from plantood.training.judging.decision.threshold import choose_threshold
from plantood.training.judging.evaluation import Evaluation

PROMISED = guaranteed_threshold([0] * 300 + [1], [0.1] * 300 + [0.9], max_false_accept=0.01)
PARENT = {"guarantee": PROMISED.as_dict(), "threshold": 0.8}


def child(threshold: float, carried_over: bool) -> Evaluation:
    chosen = replace(choose_threshold([0, 1], [0.1, 0.9]), carried_over=carried_over)
    return Evaluation("after", {}, threshold, {"chosen_threshold": chosen.as_dict()})


@pytest.mark.parametrize(
    ("threshold", "carried_over", "end"),
    [
        (
            0.8,
            True,
            "the child keeps the threshold, but the bound was proved for the parent alone.",
        ),
        (0.8, False, "that does not hold for the child, whose threshold was chosen anew."),
        (0.9, True, "that does not hold for the child, whose threshold was chosen anew."),
    ],
)
def test_a_promise_is_the_parents_alone(threshold: float, carried_over: bool, end: str) -> None:
    assert promise_notes(PARENT, child(threshold, carried_over)) == [
        "Its parent promised that at most 1 % of others are accepted, 95 % sure: " + end
    ]


def test_what_was_not_promised_is_not_lost() -> None:
    unproved = guaranteed_threshold([0, 1], [0.1, 0.9], max_false_accept=0.01)
    after = child(0.8, False)
    assert promise_notes({"threshold": 0.8}, after) == []
    assert promise_notes({**PARENT, "guarantee": unproved.as_dict()}, after) == []
