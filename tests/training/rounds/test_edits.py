from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.errors import RoundError
from plantood.training.finetune.data import Collection, read_collection
from plantood.training.review.log import DecisionLog
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import DECISIONS, LABELS, Round
from tests.training.review.rounds import make_round, say


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    """Three photos of a round have a label, one of them after a change of mind."""
    round_ = make_round(tmp_path / "round 1", 5)
    log = DecisionLog(round_)
    for photo, label in ((0, "plant"), (1, "other"), (2, "other"), (2, "plant")):
        say(log, photo, "ann", label)
    return round_


def edit(round_: Round, before: str, after: str) -> None:
    file = round_.path / LABELS
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


def learn(round_: Round) -> list[int]:
    return [photo.label for photo in read_collection(Collection("round", round_.path))]


def test_untouched_it_is_learned_from(round_: Round) -> None:
    assert sorted(learn(round_)) == [0, 1, 1]
    assert sorted(learn(round_)) == [0, 1, 1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("other", "plant"),
        (",plant,", ",other,"),
        ("other", "unsure"),
        ("jpg,other", "jpg,"),
    ],
)
def test_an_edit_is_neither_undone_nor_passed_over(round_: Round, before: str, after: str) -> None:
    edit(round_, before, after)
    edited = (round_.path / LABELS).read_bytes()
    for use in (learn, DecisionLog):
        with pytest.raises(RoundError, match=r"changed by hand \(1 photos, .* labels import"):
            use(round_)
    assert (round_.path / LABELS).read_bytes() == edited


def test_rows_that_were_added_or_removed_are_edits(round_: Round) -> None:
    file = round_.path / LABELS
    whole = file.read_text()
    photo = round_.mined()[4]
    file.write_text(f"{whole}{photo.file},plant,farm,{photo.id},,\n")
    with pytest.raises(RoundError, match=r"4\.jpg: plant instead of no label"):
        learn(round_)
    file.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(RoundError, match="no label instead of plant"):
        learn(round_)


def test_labels_that_nobody_gave_in_the_review_are_edits(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round-1", 2)
    photo = round_.mined()[0]
    (round_.path / LABELS).write_text(f"path,label\n{photo.file},plant\n")
    with pytest.raises(RoundError, match="changed by hand"):
        learn(round_)


def test_edits_are_taken_in_as_the_message_says(round_: Round) -> None:
    edit(round_, "other", "plant")
    with pytest.raises(RoundError) as error:
        learn(round_)
    command = shlex.split(str(error.value).split("`")[1].replace("NAME", "ann"))
    assert command[0] == "plantood"
    ran = CliRunner().invoke(main, command[1:])
    assert ran.exit_code == 0, ran.output
    assert learn(round_) == [1, 1, 1]


def test_an_edit_while_the_review_runs_is_not_undone_by_the_next_label(round_: Round) -> None:
    log, beside = DecisionLog(round_), DecisionLog(round_)
    say(beside, 3, "ben", "plant")  # another server writes the file too
    say(log, 4, "ann", "other")
    edit(round_, "other", "unsure")
    edited = (round_.path / LABELS).read_bytes()
    for _ in range(2):
        with pytest.raises(RoundError, match="changed by hand"):
            say(log, 3, "ann", "plant")
    assert (round_.path / LABELS).read_bytes() == edited
    assert len(list(round_.decisions())) == 6
    (round_.path / LABELS).unlink()
    say(log, 3, "ann", "plant")
    assert len(learn(round_)) == 5


def test_without_the_file_edits_are_dropped(round_: Round) -> None:
    edit(round_, "other", "plant")
    (round_.path / LABELS).unlink()
    assert sorted(learn(round_)) == [0, 1, 1]


def test_what_a_kill_left_behind_is_no_edit(round_: Round) -> None:
    """The decisions are on disk, labels.csv is not up to them yet."""
    photos = round_.mined()
    before = (round_.path / LABELS).stat()
    round_.append_decisions([Decision(reviewer="ann", id=photos[0].id, label="other")])
    round_.append_decisions([Decision(reviewer="ann", id=photos[3].id, label="other")])
    os.utime(round_.path / LABELS, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(round_.path / DECISIONS, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert sorted(learn(round_)) == [0, 0, 0, 1]


def test_a_spreadsheet_that_only_saved_it_has_changed_nothing(round_: Round) -> None:
    file = round_.path / LABELS
    file.write_text(file.read_text().replace(",", ";"), encoding="utf-16")
    assert sorted(learn(round_)) == [0, 1, 1]
