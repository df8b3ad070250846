from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from plantood.errors import RoundError
from training.rounds import journal


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    assert list(journal.read(file)) == []
    journal.append(file, [{"a": 1}, {"b": "käfer\n"}])
    journal.append(file, [])
    journal.append(file, [{"c": None}])
    assert list(journal.read(file)) == [{"a": 1}, {"b": "käfer\n"}, {"c": None}]


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
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(file, writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    records = list(journal.read(file))
    assert len(records) == 150
    for writer in range(3):
        assert [r["number"] for r in records if r["writer"] == writer] == list(range(50))
