from __future__ import annotations

from pathlib import Path

import pytest

from plantood.training.review.exchange.finder import PhotoFinder
from plantood.training.review.exchange.found import (
    Choices,
    ImportResult,
    LabelFileError,
    import_labels,
)
from plantood.training.review.exchange.sheet import read_sheet, write_sheet
from plantood.training.review.log import DecisionLog
from tests.training.conftest import csv_rows
from tests.training.review.rounds import numbered_log, say


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    log = numbered_log(tmp_path / "round", [0.1, 0.2, 0.3, 0.4])
    say(log, 0, "anna", "plant")
    say(log, 0, "ben", "other", kind="unfit")
    say(log, 1, "anna", "unsure")
    return log


def take(log: DecisionLog, file: Path, **options: object) -> ImportResult:
    found = read_sheet(file, PhotoFinder(log.photos), Choices())
    return import_labels(log, found, "csv", **options)


def test_there_and_back_is_the_same(log: DecisionLog, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    assert write_sheet(log, file) == 3
    rows = csv_rows(file)
    assert [(row["path"], row["label"], row["kind"], row["reviewer"]) for row in rows] == [
        ("0.jpg", "plant", "", "anna"),
        ("0.jpg", "other", "unfit", "ben"),
        ("1.jpg", "unsure", "", "anna"),
        ("2.jpg", "", "", ""),
        ("3.jpg", "", "", ""),
    ]
    assert take(log, file).unchanged == 3
    elsewhere = numbered_log(tmp_path / "elsewhere", [0.1, 0.2, 0.3, 0.4])
    assert take(elsewhere, file).added == 3
    write_sheet(elsewhere, tmp_path / "again.csv")
    again = (tmp_path / "again.csv").read_text()
    assert again == file.read_text().replace(",review\n", ",csv\n")


def test_filled_in_by_a_spreadsheet(log: DecisionLog, tmp_path: Path) -> None:
    file = tmp_path / "filled.csv"
    file.write_text(
        "path;label;kind\r\n2.jpg;Other;no_plant\r\n3.jpg;unfit;\r\n1.jpg;;\r\nx.jpg;plant;\r\n",
        encoding="utf-8-sig",
    )
    result = take(log, file, reviewer="cleo")
    assert (result.added, result.unknown, result.reviewers) == (2, 1, {"cleo"})
    for photo, kind in ((2, "no_plant"), (3, "unfit")):
        decision = log.standing(f"{photo}" * 64, "cleo").decision
        assert (decision.label, decision.kind, decision.origin) == ("other", kind, "csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "lacks a column"),
        ("path,label\n0.jpg,weed\n", "Line 2 of .*'weed' is none of"),
        ("path,label,kind\n0.jpg,plant,unfit\n", "only an other has a kind"),
        ("path,label\n0.jpg,plant\n", "does not say who labelled; give --reviewer"),
        ("path,label,reviewer\n0.jpg,plant,=cmd\n", "begins with a letter"),
        ("path,label,reviewer,time\n0.jpg,plant,ann,5.11.26 10:21\n", "Line 2 of .*like 2026-11-"),
        ("path,label\n\xff\n".encode("latin-1"), "is not a CSV file"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_taken(
    log: DecisionLog, tmp_path: Path, content: str | bytes, message: str
) -> None:
    file = tmp_path / "wrong.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LabelFileError, match=message):
        take(log, file)
    assert len(log.entries) == 3


def test_a_name_that_two_photos_have_finds_neither(tmp_path: Path) -> None:
    log = numbered_log(tmp_path / "round", [0.1, 0.2])
    first, second = log.photos.values()
    object.__setattr__(first, "path", "a/same.jpg")
    object.__setattr__(second, "path", "b/same.jpg")
    finder = PhotoFinder(log.photos)
    assert finder.find("elsewhere/same.jpg") is None
    assert finder.find("b/same.jpg") == second.id
