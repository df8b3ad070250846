from __future__ import annotations

import errno
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plantood.errors import RoundError
from plantood.training.photos.data import find_data
from plantood.training.review.log import (
    LOCK,
    DecisionLog,
    NothingToUndo,
    Superseded,
    UnknownPhoto,
    Unsaved,
)
from plantood.training.rounds.labels import Decision, resolve
from plantood.training.rounds.layout import DECISIONS, LABELS, Round
from tests.training.beside import in_processes
from tests.training.conftest import csv_rows
from tests.training.review.rounds import make_round, numbered_log, say
from tests.training.rounds.disk import broken


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return numbered_log(tmp_path / "round", [0.1, 0.2, 0.3, 0.4])


def labels_csv(log: DecisionLog) -> dict[str, tuple[str, str, str]]:
    rows = csv_rows(log.round.path / LABELS)
    return {row["id"]: (row["label"], row["kind"], row["reviewers"]) for row in rows}


def test_a_decision_is_in_both_files_when_decide_returns(log: DecisionLog) -> None:
    entry = say(log, 0, "anna", "other", kind="unfit")
    assert entry.number == 1
    line = json.loads((log.round.path / DECISIONS).read_text())
    assert (line["reviewer"], line["label"], line["kind"]) == ("anna", "other", "unfit")
    assert labels_csv(log) == {"0" * 64: ("other", "unfit", "anna")}


def test_labels_csv_is_a_manifest_that_training_reads(tmp_path: Path) -> None:
    log = DecisionLog(make_round(tmp_path / "round", 4))
    for number, label in enumerate(["plant", "other", "unsure"]):
        say(log, number, "anna", label)
    photos = find_data(log.round.path / LABELS).photos
    assert [photo.label for photo in photos] == [1, 0]
    assert all(photo.path.is_file() for photo in photos)


def test_one_started_again_goes_on(log: DecisionLog) -> None:
    say(log, 0, "anna", "plant")
    again = DecisionLog(Round.open(log.round.path))
    assert again.standing("0" * 64, "anna").decision.label == "plant"
    assert say(again, 1, "anna", "other").number == 2


def test_labels_csv_is_made_up_for_after_a_kill_before_it_was_written(log: DecisionLog) -> None:
    log.round.append_decisions([Decision(reviewer="anna", id="0" * 64, label="plant")])
    assert labels_csv(log) == {}
    DecisionLog(log.round)
    assert labels_csv(log) == {"0" * 64: ("plant", "", "anna")}


def test_a_line_cut_off_by_a_kill_was_never_there(log: DecisionLog) -> None:
    say(log, 0, "anna", "plant")
    file = log.round.path / DECISIONS
    with file.open("ab") as opened:
        opened.write(file.read_bytes()[:40])
    again = DecisionLog(log.round)
    assert len(again.entries) == 1
    assert say(again, 1, "anna", "other").number == 2
    assert [d.label for d in log.round.decisions()] == ["plant", "other"]


def test_a_damaged_line_is_named(log: DecisionLog) -> None:
    say(log, 0, "anna", "plant")
    with (log.round.path / DECISIONS).open("a") as opened:
        opened.write("{}\n")
    with pytest.raises(RoundError, match="Line 2"):
        DecisionLog(log.round)


def test_two_servers_on_one_round_hear_of_each_other(log: DecisionLog) -> None:
    other = DecisionLog(log.round)
    say(log, 0, "anna", "plant")
    assert [entry.number for entry in other.since(0)] == [1]
    say(other, 1, "ben", "other")
    assert [entry.decision.reviewer for entry in log.since(1)] == ["ben"]
    assert labels_csv(log).keys() == {"0" * 64, "1" * 64}


def test_a_file_restored_from_an_older_copy_is_read_anew(log: DecisionLog) -> None:
    say(log, 0, "anna", "plant")
    file = log.round.path / DECISIONS
    older = file.read_bytes()
    say(log, 1, "anna", "plant")
    file.write_bytes(older)
    assert log.refresh() == 1
    assert log.standing("1" * 64, "anna") is None


def test_a_stale_tab_is_told_instead_of_overwriting(log: DecisionLog) -> None:
    first = say(log, 0, "anna", "plant", seen=0)
    with pytest.raises(Superseded) as refused:
        say(log, 0, "anna", "other", seen=0)
    assert refused.value.standing == first
    assert len(log.entries) == 1
    second = say(log, 0, "anna", "other", seen=first.number)
    with pytest.raises(Superseded):
        log.undo("0" * 64, "anna", seen=first.number)
    assert log.standing("0" * 64, "anna") == second


def test_what_is_sent_again_because_the_answer_was_lost_counts_once(log: DecisionLog) -> None:
    first = say(log, 0, "anna", "plant", seen=0)
    assert say(log, 0, "anna", "plant", seen=0) == first
    second = say(log, 0, "anna", "other", kind="unfit", seen=1)
    taken_back = log.undo("0" * 64, "anna", seen=second.number)
    assert log.undo("0" * 64, "anna", seen=second.number) == taken_back
    assert log.standing("0" * 64, "anna") == first
    assert len(log.entries) == 3


def test_undo_goes_back_one_look_at_a_time(log: DecisionLog) -> None:
    say(log, 0, "anna", "plant")
    say(log, 0, "anna", "other", kind="no_plant")
    say(log, 0, "ben", "plant")
    log.undo("0" * 64, "anna")
    assert log.standing("0" * 64, "anna").decision.label == "plant"
    log.undo("0" * 64, "anna")
    assert log.standing("0" * 64, "anna") is None
    with pytest.raises(NothingToUndo):
        log.undo("0" * 64, "anna")
    assert labels_csv(log) == {"0" * 64: ("plant", "", "ben")}


def test_a_photo_of_another_round_is_refused(log: DecisionLog) -> None:
    with pytest.raises(UnknownPhoto):
        log.decide(Decision(reviewer="anna", id="f" * 64, label="plant"))


def test_counting_in_memory_gives_what_reading_all_of_it_gives(log: DecisionLog) -> None:
    chance = random.Random(0)
    for _ in range(300):
        photo, reviewer = chance.randrange(4), chance.choice(["anna", "ben", "cleo"])
        if chance.random() < 0.3 and log.standing(f"{photo:x}" * 64, reviewer):
            log.undo(f"{photo:x}" * 64, reviewer)
        else:
            say(log, photo, reviewer, chance.choice(["plant", "other", "unsure"]))
    expected = resolve(log.round.decisions())
    decided = {
        identity: (label.label, label.kind or "", "+".join(sorted(label.votes)))
        for identity, label in expected.items()
        if label.decided
    }
    assert labels_csv(log) == decided
    assert log.summary()["labelled"] == len(expected)


def test_threads_lose_nothing(log: DecisionLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda i: say(log, i % 4, f"r{i}", "plant"), range(80)))
    assert sorted(entry.number for entry in entries) == list(range(1, 81))
    assert len(list(log.round.decisions())) == 80


def label_many(path: Path, reviewer: str) -> None:
    log = DecisionLog(Round.open(path))
    for number in range(40):
        say(log, number % 4, reviewer, "plant")


def test_processes_lose_nothing(log: DecisionLog) -> None:
    in_processes(label_many, *((log.round.path, name) for name in "ab"))
    entries = log.since(0)
    assert [entry.number for entry in entries] == list(range(1, 81))
    assert log.reviewers() == ["a", "b"]


def test_a_decision_that_labels_csv_cannot_take_is_in_neither_file(log: DecisionLog) -> None:
    say(log, 0, "anna", "plant")
    file, before = log.round.path / LABELS, labels_csv(log)
    file.rename(file.with_suffix(".kept"))
    file.mkdir()  # nobody can write a file there, not even root
    for attempt in (
        lambda: say(log, 1, "anna", "plant"),
        lambda: log.undo("0" * 64, "anna"),
        lambda: log.decide_all([Decision(reviewer=n, id="1" * 64, label="other") for n in "ab"]),
    ):
        with pytest.raises(OSError, match="directory"):
            attempt()
    assert [entry.number for entry in log.since(0)] == [1]
    assert log.summary() == {"labelled": 1, "plant": 1, "other": 0}
    assert say(log, 0, "anna", "plant", seen=0).number == 1  # the answer to it was lost
    file.rmdir()
    file.with_suffix(".kept").rename(file)
    assert len(DecisionLog(log.round).entries) == 1
    assert labels_csv(log) == before
    assert say(log, 1, "anna", "other", seen=0).number == 2
    assert labels_csv(log).keys() == {"0" * 64, "1" * 64}


def test_another_server_never_hears_of_a_decision_that_was_refused(log: DecisionLog) -> None:
    """Its next line may be as long as the one that was taken back."""
    other = DecisionLog(log.round)
    heard = []

    def slow_and_broken(*_: object) -> None:
        heard.append(pool.submit(other.since, 0))
        with pytest.raises(TimeoutError):
            heard[0].result(0.3)  # it waits
        raise OSError(errno.ENOSPC, "No space left on device")

    with ThreadPoolExecutor(1) as pool:
        with pytest.MonkeyPatch.context() as disk:
            disk.setattr(log, "_write_labels", slow_and_broken)
            with pytest.raises(OSError, match="No space"):
                say(log, 0, "anna", "plant")
        assert heard[0].result(60) == []
    say(log, 1, "anna", "other")
    assert [entry.decision.label for entry in other.since(0)] == ["other"]


def test_nothing_is_taken_before_what_was_refused_is_gone(
    log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(log, 0, "anna", "plant")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", broken)
        disk.setattr(os, "ftruncate", broken)
        for _ in range(2):
            with pytest.raises(Unsaved, match=r"Repair the disk.* behind the first 1 lines"):
                say(log, 1, "anna", "plant")
        assert [entry.number for entry in log.since(0)] == [1]
    assert say(log, 2, "anna", "other").number == 2
    assert [d.id[0] for d in log.round.decisions()] == ["0", "2"]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"reviewer": ' + "1" * 5000 + "}", "NaN"])
def test_a_line_that_cannot_be_parsed_is_damaged(log: DecisionLog, line: str) -> None:
    (log.round.path / DECISIONS).write_text(line + "\n")
    with pytest.raises(RoundError, match="Line 1"):
        log.refresh()


@pytest.mark.parametrize("name", [DECISIONS, LOCK])
def test_nothing_is_written_through_a_link(log: DecisionLog, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.write_text("no line feed")
    (log.round.path / name).unlink(missing_ok=True)
    (log.round.path / name).symlink_to(other)
    with pytest.raises(RoundError, match="is a link"):
        DecisionLog(log.round)
    assert other.read_text() == "no line feed"
