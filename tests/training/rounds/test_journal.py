from __future__ import annotations

import os
from pathlib import Path

import pytest

from plantood.errors import RoundError
from plantood.training.rounds import journal
from tests.training.beside import in_processes
from tests.training.rounds.disk import bound_files, broken, fill, small_disk


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    assert list(journal.read(file)) == []
    journal.append(file, [{"a": 1}, {"b": "käfer\n"}])
    journal.append(file, [])
    journal.append(file, [{"c": None}])
    assert list(journal.read(file)) == [{"a": 1}, {"b": "käfer\n"}, {"c": None}]


@pytest.mark.parametrize("line", ["[" * 100_000, "1" * 5000, "[]", "NaN", "\udcff"])
def test_what_is_no_record_is_a_damaged_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "j.jsonl"
    file.write_bytes(line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(RoundError, match=r"Line 1 of .*is damaged"):
        list(journal.read(file))


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_cut_off_anywhere_is_as_if_it_never_was(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "j.jsonl"
    journal.append(file, [{"a": 1}, {"b": 22222}])
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    assert list(journal.read(file)) == [{"a": 1}]
    journal.append(file, [{"b": 22222}])
    assert file.read_bytes() == whole


def test_a_torn_line_of_any_length_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    file.write_bytes(b'{"a": 1}\n' + b"\0" * 10_000)
    journal.append(file, [{"b": 2}])
    assert file.read_bytes() == b'{"a": 1}\n{"b": 2}\n'
    file.write_bytes(b'{"a"' * 5000)
    journal.append(file, [{"b": 2}])
    assert file.read_bytes() == b'{"b": 2}\n'


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    file.write_bytes(b'{"a": 1}\n{"b": \n{"c": 3}\n')
    with pytest.raises(RoundError, match=r"Line 2 of .*j\.jsonl is damaged.*remove the line"):
        list(journal.read(file))


def _append_many(file: Path, writer: int) -> None:
    for number in range(50):
        journal.append(file, [{"writer": writer, "number": number}])


def test_several_processes_may_append(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    in_processes(_append_many, *((file, writer) for writer in range(3)))
    records = list(journal.read(file))
    assert len(records) == 150
    for writer in range(3):
        assert [r["number"] for r in records if r["writer"] == writer] == list(range(50))


def _append_too_much(file: Path) -> None:
    bound_files(100)  # two of the lines fit, and half of the third
    with pytest.raises(OSError, match="too large"):
        journal.append(file, [{"number": n, "text": "x" * 12} for n in range(5)])
    journal.append(file, [{"b": 2}])


def test_of_lines_that_do_not_all_fit_none_stays(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    journal.append(file, [{"a": 1}])
    in_processes(_append_too_much, (file,))
    assert list(journal.read(file)) == [{"a": 1}, {"b": 2}]


def test_a_full_disk_keeps_nothing_that_was_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        file = disk / "j.jsonl"
        journal.append(file, [{"a": 1}])
        filler = fill(disk)
        with pytest.raises(OSError, match="No space left"):
            journal.append(file, [{"number": n, "text": "x" * 100} for n in range(100)])
        assert list(journal.read(file)) == [{"a": 1}]
        filler.unlink()
        journal.append(file, [{"b": 2}])
        assert list(journal.read(file)) == [{"a": 1}, {"b": 2}]


def test_a_line_that_may_not_be_on_the_disk_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "j.jsonl"
    journal.append(file, [{"a": 1}])
    works = os.fsync

    def broken_once(_: int) -> None:
        monkeypatch.setattr(os, "fsync", works)
        broken()

    with monkeypatch.context():
        monkeypatch.setattr(os, "fsync", broken_once)
        with pytest.raises(OSError, match="Input/output") as error:
            journal.append(file, [{"b": 2}])
    assert not isinstance(error.value, journal.NotTakenBack)
    assert list(journal.read(file)) == [{"a": 1}]


@pytest.mark.parametrize(
    ("meanwhile", "left"),
    [
        (None, [{"a": 1}]),
        (b"", [{"a": 1}]),  # somebody removed it by hand
        (b'{"c": 3}\n', [{"a": 1}, {"c": 3}]),  # and another program went on
    ],
)
def test_what_cannot_be_taken_back_at_once_can_be_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: bytes | None, left: list[object]
) -> None:
    file = tmp_path / "j.jsonl"
    journal.append(file, [{"a": 1}])
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", broken)
        disk.setattr(os, "ftruncate", broken)
        with pytest.raises(journal.NotTakenBack, match="cannot be removed") as error:
            journal.append(file, [{"b": 2}])
        with pytest.raises(journal.NotTakenBack, match="cannot be removed"):
            error.value.appended.take_back()
    if meanwhile is not None:
        file.write_bytes(b'{"a": 1}\n' + meanwhile)
    error.value.appended.take_back()
    assert list(journal.read(file)) == left


def test_nothing_of_others_is_removed_with_it(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    journal.append(file, [{"a": 1}])
    refused = journal.append(file, [{"b": 2}])
    journal.append(file, [{"c": 3}])
    with pytest.raises(journal.NotTakenBack, match="other lines follow it"):
        refused.take_back()
    assert list(journal.read(file)) == [{"a": 1}, {"b": 2}, {"c": 3}]
