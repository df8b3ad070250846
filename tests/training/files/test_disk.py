"""Disks that are full or may not be written, locks that they do not have, and Ctrl-C."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from plantood.cli import INTERRUPTED, main
from plantood.errors import SettingsError
from plantood.training.common.settings import TrainOptions
from plantood.training.features.room import ensure_room, ensure_room_for_graphs, ensure_room_to_save
from plantood.training.files import disk
from plantood.training.files.disk import ensure_writable
from plantood.training.process.run import hold
from plantood.training.review.log import DecisionLog
from plantood.training.train.evaluate import evaluate_gate
from tests.training.conftest import make_photo
from tests.training.review.rounds import make_round, say
from tests.training.rounds.disk import fill, read_only, small_disk


def test_what_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"file/runs cannot be written \(Not a directory"):
        ensure_writable(tmp_path / "file" / "runs")
    with small_disk(tmp_path / "disk", "128k") as folder:
        ensure_writable(folder / "runs")
        fill(folder)
        with (
            pytest.raises(SettingsError, match=r"cannot be written \(No space left on device"),
            hold(folder / "runs"),
        ):
            pass
    with small_disk(tmp_path / "other", "128k") as folder:
        read_only(folder)
        for place in (folder, folder / "new"):
            with pytest.raises(SettingsError, match=r"cannot be written \(Read-only file system"):
                ensure_writable(place)


def test_a_store_that_cannot_be_written_is_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plantood.training.train import train as module

    class Opened(Exception):
        pass

    def load_dataset(*_: object) -> None:
        raise Opened

    monkeypatch.setattr(module, "load_dataset", load_dataset)
    options = TrainOptions(tmp_path / "photos", runs=tmp_path / "runs", cache=tmp_path / "cache")
    with small_disk(tmp_path / "store", "128k") as folder:
        monkeypatch.setattr(module, "store_dir", lambda: folder)
        with pytest.raises(Opened):
            module.train_heads(options)
        read_only(folder)
        with pytest.raises(SettingsError, match=r"store cannot be written \(Read-only"):
            module.train_heads(options)


def test_the_report_of_an_evaluation_is_thought_of_before(tmp_path: Path, gate: str) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(SettingsError, match="out cannot be written"):
        evaluate_gate(gate, tmp_path / "no photos", out=tmp_path / "out", cache=tmp_path / "cache")


def test_too_little_room_is_told_in_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = SimpleNamespace(output_shape=(None, 7, 7, 1000), count_params=lambda: 10**6)
    photos = [make_photo(f"{number:x}") for number in range(100)]
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    with pytest.raises(SettingsError, match=r"about 10 MB in .*, where 5 MB are free.*--cache"):
        ensure_room(photos, (), backbone, tmp_path)
    ensure_room(photos, {photo.sha256 for photo in photos[:60]}, backbone, tmp_path)
    with pytest.raises(SettingsError, match="The graph of the backbone will take about 8 MB"):
        ensure_room_for_graphs(SimpleNamespace(count_params=lambda: 2 * 10**6), tmp_path)
    with pytest.raises(SettingsError, match="A gate model will take about 16 MB in"):
        ensure_room_to_save(backbone)


def one_sentence(ran: Result, *words: str) -> None:
    assert isinstance(ran.exception, SystemExit)
    last = ran.output.splitlines()[-1]
    assert all(word in last for word in words), ran.output
    assert "Traceback" not in ran.output


def test_a_disk_that_fills_up_while_mining(
    production: Callable[..., Path],
    gate: str,
    tmp_path: Path,
) -> None:
    source = production(30)
    with small_disk(tmp_path / "disk", "100k") as folder:
        command = ["mine", str(source), "--gate", gate, "--out", str(folder / "r")]
        ran = CliRunner().invoke(main, [*command, "--at-most", "1"])
    assert ran.exit_code == 1
    one_sentence(ran, "Error: ", "make room", "again")


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/a.npz"), ("runs/a.npz", "room")),
        (PermissionError(errno.EACCES, "Permission denied", "x"), ("Permission denied",)),
        (OSError("123 requested and 0 written"), ("123 requested", "again")),  # NumPy's
        (sqlite3.OperationalError("database or disk is full"), ("is full", "make room")),
    ],
)
def test_what_the_disk_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, raised: Exception, words: tuple[str, ...]
) -> None:
    def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr("plantood.training.mining.mine.mine_photos", fail)
    ran = CliRunner().invoke(main, ["mine", "photos", "--out", str(tmp_path)])
    assert ran.exit_code == 1
    one_sentence(ran, *words)


def test_ctrl_c_says_what_to_do_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("plantood.training.mining.mine.mine_photos", interrupt)
    ran = CliRunner().invoke(main, ["mine", "photos", "--out", str(tmp_path)])
    assert ran.exit_code == 130
    assert ran.output.strip() == INTERRUPTED


@pytest.mark.parametrize("why", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_no_other_process(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    why: int,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with hold(tmp_path / "run"):
            pass
    told = capsys.readouterr().err
    assert told.count("cannot be locked") == 1
    assert f"Files in {tmp_path / 'run'} cannot be locked ({os.strerror(why)})" in told
    log = DecisionLog(make_round(tmp_path / "round", 2))
    say(log, 0, "ann", "plant")
    say(log, 1, "ann", "other")
    assert log.summary()["labelled"] == 2
    assert capsys.readouterr().err.count("cannot be locked") == 1


def _hold_for_ever(folder: Path, held: Event) -> None:
    with hold(folder):
        held.set()
        threading.Event().wait()


def test_another_process_is_one_until_it_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    held = context.Event()
    other = context.Process(target=_hold_for_ever, args=(tmp_path, held))
    other.start()
    try:
        assert held.wait(60)
        with (
            pytest.raises(SettingsError, match=f"^Another process is at work in {tmp_path}.$"),
            hold(tmp_path),
        ):
            pass
    finally:
        other.kill()
        other.join(60)
    with hold(tmp_path):
        pass
