from __future__ import annotations

import json
from pathlib import Path

import pytest

from plantood.errors import RoundError
from plantood.training.photos.data import find_data
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round, RoundInfo
from tests.training.rounds.photos import photo

INFO = RoundInfo(gate="plantood-gate:x", gate_sha256="0" * 64, source="photos", sample=5)


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    return Round.create(tmp_path / "round-1", INFO)


def test_it_opens_as_it_was_created(round_: Round) -> None:
    assert Round.open(round_.path).info == INFO


def test_a_folder_that_is_no_round(tmp_path: Path) -> None:
    with pytest.raises(RoundError, match=r"is no round.*`plantood mine SOURCE .*--out FOLDER`"):
        Round.open(tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"gate": 1}', "[]"])
def test_a_damaged_round(round_: Round, content: str) -> None:
    (round_.path / "round.json").write_text(content)
    with pytest.raises(RoundError, match=r"round\.json cannot be read"):
        Round.open(round_.path)


def test_a_round_of_another_version(round_: Round) -> None:
    Round.create(round_.path, INFO.model_copy(update={"format_version": 2}))
    with pytest.raises(RoundError, match="format version 2"):
        Round.open(round_.path)


def test_mined_photos_are_there_when_mining_is_finished(round_: Round) -> None:
    with pytest.raises(RoundError, match="not mined to the end"):
        round_.mined()
    round_.write_mined([photo("a"), photo("b")])
    assert round_.is_mined
    assert round_.mined() == [photo("a"), photo("b")]


def test_photos_are_found_by_id(round_: Round) -> None:
    file = round_.path / photo("c").file
    file.parent.mkdir(parents=True)
    file.with_name(file.name + ".17.tmp").write_bytes(b"half")
    with pytest.raises(RoundError, match="no photo"):
        round_.photo_path("c" * 64)
    file.write_bytes(b"x")
    assert round_.photo_path("c" * 64) == file
    with round_.open_photo("c" * 64) as opened:
        assert opened.read() == b"x"
    for wrong in ("", "*", "../" + "c" * 61, "d" * 64):
        with pytest.raises(RoundError, match="no photo"):
            round_.photo_path(wrong)


def test_scores_are_appended(round_: Round) -> None:
    round_.append_scores([{"id": "a"}])
    round_.append_scores([{"id": "b"}, {"id": "c"}])
    assert [score["id"] for score in Round.open(round_.path).scores()] == ["a", "b", "c"]


def test_labels_become_a_manifest(round_: Round) -> None:
    digits = "abcde"
    photos = [photo(digit, source="north" if digit == "a" else "") for digit in digits]
    for mined in photos:
        file = round_.path / mined.file
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
    round_.write_mined(photos)

    def decide(digit: str, reviewer: str, label: str, kind: str | None = None) -> None:
        round_.append_decisions(
            [Decision(reviewer=reviewer, id=digit * 64, label=label, kind=kind, origin="csv")]
        )

    decide("a", "ann", "plant")
    decide("a", "bob", "plant")
    decide("b", "ann", "other", "unfit")
    decide("c", "ann", "unsure")
    decide("d", "ann", "plant")
    decide("d", "bob", "other", "no_plant")

    labelled = find_data(round_.write_labels()).photos
    assert [(p.path, p.label, p.source) for p in labelled] == [
        (round_.path / photos[0].file, 1, "north"),
        (round_.path / photos[1].file, 0, "round-1"),
    ]
    lines = (round_.path / "labels.csv").read_text().splitlines()
    assert lines[0] == "path,label,source,id,kind,reviewers"
    assert lines[1].endswith(f"{'a' * 64},,ann+bob")
    assert lines[2].endswith(f"{'b' * 64},unfit,ann")
    assert round_.labels()["d" * 64].disputed


def test_a_line_that_is_no_decision_is_named(round_: Round) -> None:
    round_.append_decisions([Decision(reviewer="ann", id="a" * 64, label="plant")])
    with (round_.path / "labels.jsonl").open("a") as file:
        file.write(json.dumps({"reviewer": "ann", "id": "a" * 64, "label": "weed"}) + "\n")
    with pytest.raises(RoundError, match=r"Line 2 of .*labels\.jsonl.*label"):
        round_.labels()
