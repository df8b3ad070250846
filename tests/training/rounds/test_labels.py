from __future__ import annotations

import pytest
from pydantic import ValidationError

from plantood.training.rounds.labels import Decision, resolve

A, B = "a" * 64, "b" * 64


def said(
    reviewer: str, label: str, kind: str | None = None, photo: str = A, undone: bool = False
) -> Decision:
    return Decision(reviewer=reviewer, id=photo, label=label, kind=kind, undone=undone)


@pytest.mark.parametrize(
    ("labels", "winner"),
    [
        (["plant"], "plant"),
        (["plant", "plant"], "plant"),
        (["plant", "other"], None),
        (["plant", "plant", "other"], "plant"),
        (["plant", "unsure"], None),
        (["plant", "plant", "unsure"], "plant"),
        (["unsure"], "unsure"),
        (["plant", "plant", "other", "unsure"], None),  # two of four are no majority
    ],
)
def test_the_majority_decides(labels: list[str], winner: str | None) -> None:
    label = resolve(said(str(i), label) for i, label in enumerate(labels))[A]
    assert label.label == winner
    assert label.decided == (winner in ("plant", "other"))
    assert label.disputed == (len(set(labels)) > 1)


def test_a_change_of_mind_replaces() -> None:
    label = resolve([said("ann", "plant"), said("ann", "other", "unfit")])[A]
    assert (label.label, label.kind) == ("other", "unfit")
    assert len(label.votes) == 1


def test_undoing_brings_the_decision_before_back() -> None:
    log = [said("ann", "plant"), said("ann", "other"), said("ann", "other", undone=True)]
    assert resolve(log)[A].label == "plant"
    log.append(said("ann", "plant", undone=True))
    assert resolve(log) == {}
    log.append(said("ann", "plant", undone=True))  # nothing is left to undo
    assert resolve(log) == {}


def test_undoing_touches_nobody_else_and_no_other_photo() -> None:
    log = [said("ann", "plant"), said("bob", "other"), said("ann", "other", photo=B)]
    log.append(said("ann", "plant", undone=True))
    labels = resolve(log)
    assert labels[A].label == "other"
    assert set(labels[A].votes) == {"bob"}
    assert labels[B].label == "other"


def test_the_kind_is_what_most_of_those_who_won_gave() -> None:
    votes = [said("a", "other", "unfit"), said("b", "other", "unfit"), said("c", "other")]
    assert resolve(votes)[A].kind == "unfit"
    votes = [said("a", "other", "unfit"), said("b", "other", "no_plant")]
    assert resolve(votes)[A].label == "other"
    assert resolve(votes)[A].kind is None


@pytest.mark.parametrize(
    "wrong", [{"label": "weed"}, {"id": "../x"}, {"reviewer": ""}, {"kind": "blur"}]
)
def test_what_is_no_decision_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Decision(**{"reviewer": "ann", "id": A, "label": "plant", **wrong})
