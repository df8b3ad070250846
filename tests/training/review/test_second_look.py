from __future__ import annotations

from pathlib import Path

import pytest

from plantood.training.review.log import DecisionLog
from plantood.training.review.second_look import second_looks
from tests.training.review.rounds import numbered_log, say


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return numbered_log(tmp_path / "round", [0.05, 0.2, 0.3, 0.85])


def because(log: DecisionLog, reviewer: str) -> dict[str, str]:
    return {look.id[0]: look.because for look in second_looks(log, reviewer)}


def test_labels_strongly_against_the_gate_the_strongest_first(log: DecisionLog) -> None:
    for photo, label in enumerate(["plant", "plant", "plant", "other"]):
        say(log, photo, "anna", label)
    assert because(log, "anna") == {"0": "gate", "1": "gate", "3": "gate"}
    assert [look.id[0] for look in second_looks(log, "anna")] == ["0", "3", "1"]
    assert because(log, "ben") == {}


def test_the_second_label_settles_it(log: DecisionLog) -> None:
    say(log, 0, "anna", "plant")
    say(log, 0, "anna", "plant")
    assert because(log, "anna") == {}


def test_a_change_of_mind_wants_a_third_look(log: DecisionLog) -> None:
    say(log, 2, "anna", "plant")
    say(log, 2, "anna", "other")
    assert because(log, "anna") == {"2": "self"}
    say(log, 2, "anna", "other")
    assert because(log, "anna") == {}


def test_what_was_undone_is_no_look(log: DecisionLog) -> None:
    say(log, 2, "anna", "other")
    log.undo("2" * 64, "anna")
    say(log, 2, "anna", "plant")
    assert because(log, "anna") == {}


def test_where_reviewers_differ_each_looks_again_until_he_has(log: DecisionLog) -> None:
    say(log, 2, "anna", "plant")
    say(log, 2, "ben", "other", kind="no_plant")
    assert because(log, "anna") == because(log, "ben") == {"2": "reviewer"}
    say(log, 2, "anna", "plant")
    assert because(log, "anna") == {}
    assert because(log, "ben") == {"2": "reviewer"}
    say(log, 2, "ben", "other", kind="no_plant")
    assert because(log, "anna") == {"2": "reviewer"}  # he insists


def test_unsure_disagrees_with_nobody(log: DecisionLog) -> None:
    say(log, 0, "anna", "unsure")
    say(log, 0, "ben", "other")
    assert because(log, "anna") == because(log, "ben") == {}
