from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from plantood.training.judging.audit import AUDIT, Audit, audit_lines, audit_of
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round, RoundInfo
from plantood.training.rounds.mined import MinedPhoto

CASES = [  # drawn, verdict, what is said
    (True, "accept", "plant"),
    (True, "accept", "plant"),
    (True, "retake", "plant"),
    (True, "accept", "other"),
    (True, "retake", "other"),
    (True, "retake", "other"),
    (True, "retake", "unsure"),
    (True, "accept", None),
    (False, "retake", "other"),
    (False, "accept", "other"),
]


@pytest.fixture
def reviewed(tmp_path: Path) -> Round:
    round_ = Round.create(tmp_path, RoundInfo(gate="g:1", gate_sha256="0", source="pool"))
    photos, decisions = [], []
    for number, (drawn, verdict, said) in enumerate(CASES):
        digest = hashlib.sha256(bytes([number])).hexdigest()
        chosen = (AUDIT, "at_most") if drawn else ("at_most",)
        photos.append(MinedPhoto(digest, f"{number}.jpg", "f", 0.3, chosen, verdict, (), 1.0, 0.5))
        if said:
            decisions.append(Decision(reviewer="ann", id=digest, label=said))
    round_.write_mined(photos)
    round_.append_decisions(decisions)
    return round_


def interval(hits: int, count: int) -> str:
    """Wilson's, as he wrote it, with 1.96 standard deviations."""
    p, z = hits / count, 1.96
    middle = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * (p * (1 - p) / count + z**2 / (4 * count**2)) ** 0.5 / (1 + z**2 / count)
    return f"{p:.1%} ({100 * (middle - half):.1f} to {100 * (middle + half):.1f})"


def test_only_what_was_drawn_and_is_labelled_counts(reviewed: Round) -> None:
    assert audit_of(reviewed) == Audit(8, plants=3, others=3, false_accepts=1, false_retakes=1)


def test_shares_have_intervals(reviewed: Round) -> None:
    _, *lines = audit_lines(reviewed)
    assert lines[0] == f"  others: {interval(3, 6)}"
    assert lines[1] == f"  false accepts, of the others: {interval(1, 3)}"
    assert lines[2] == f"  false retakes, of the plants: {interval(1, 3)}"
    assert lines[3] == "  without a label, not counted: 2"


def test_it_is_of_the_source_only_where_nothing_of_it_was_left_out(reviewed: Round) -> None:
    """What was labelled in earlier rounds was mostly others: their share among the rest is low."""
    for counts in ({}, {"already_labelled": 0}):
        info = reviewed.info.model_copy(update={"counts": counts})
        first, *others = audit_lines(Round(reviewed.path, info))
        assert "Of all photos there, with 95 % intervals:" in first
        assert "--share-of-others" not in " ".join(others)
    info = reviewed.info.model_copy(update={"counts": {"already_labelled": 1200}})
    first, *_, last = audit_lines(Round(reviewed.path, info))
    assert "Of the photos not labelled before, with 95 % intervals:" in first
    assert last == (
        "  labelled before, left out: 1,200; so this share of others is not that of the source, "
        "and nothing to give as --share-of-others"
    )


def test_before_anybody_has_looked_nothing_is_said(tmp_path: Path) -> None:
    round_ = Round.create(tmp_path, RoundInfo(gate="g:1", gate_sha256="0", source="pool"))
    round_.write_mined([])
    assert audit_lines(round_) == []
