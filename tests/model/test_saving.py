from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import bentoml
import pytest
from bentoml.exceptions import NotFound

from plantood.errors import GateModelCorrupt, GateModelError
from plantood.model.entry import KERAS, MANIFEST, open_gate
from plantood.model.saving import finish_save, save_gate
from plantood.model.starter import starter_dir
from plantood.model.store import StoreUnusable, list_gates, load_gate, store_dir
from tests.model.entries import NAME


def _left_in_store(name: str) -> list[bentoml.Model]:
    try:
        return bentoml.models.list(name)
    except NotFound:
        return []


@pytest.fixture
def beside() -> Iterator[Path]:
    """Where entries are made before they are put into the store, empty."""
    place = store_dir().parent / "plantood-saving"
    shutil.rmtree(place, ignore_errors=True)
    yield place
    place.unlink() if place.is_symlink() else shutil.rmtree(place)


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where BentoML makes its staging directories, empty."""
    directory = tmp_path / "staging"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def test_save_and_load(staging: Path, tag: bentoml.Tag) -> None:
    gate = load_gate(tag)
    original = open_gate(starter_dir())
    assert gate.tag == str(tag)
    assert gate.manifest == original.manifest
    assert gate.metrics == original.metrics
    assert gate.card == original.card
    assert gate.keras_path.is_file()
    assert load_gate(f"{NAME}:latest").tag == load_gate(NAME).tag == str(tag)
    assert list(staging.iterdir()) == []


def test_a_version_is_never_overwritten(staging: Path) -> None:
    save_gate(starter_dir(), name=NAME, version="v1")
    try:
        with pytest.raises(GateModelError, match=f"{NAME}:v1 already"):
            save_gate(starter_dir(), name=NAME, version="v1")
        assert load_gate(f"{NAME}:v1").tag == f"{NAME}:v1"
        assert list(staging.iterdir()) == []
    finally:
        bentoml.models.delete(f"{NAME}:v1")


def test_a_damaged_entry_is_not_saved(tmp_path: Path) -> None:
    entry = shutil.copytree(starter_dir(), tmp_path / "entry")
    (entry / KERAS).write_bytes(b"broken")
    with pytest.raises(GateModelCorrupt, match=r"model\.keras"):
        save_gate(entry, name=NAME)
    assert _left_in_store(NAME) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("function", ["copyfile", "copytree"])
def test_a_failed_copy_leaves_nothing(
    function: str, error: BaseException, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it fails in our copy to BentoML's staging (files) or in BentoML's own (tree)."""
    original = getattr(shutil, function)

    def copy_a_little_and_fail(source: Path, target: Path, **options: object) -> None:
        original(source, target, **options)
        raise error

    monkeypatch.setattr(shutil, function, copy_a_little_and_fail)
    with pytest.raises(type(error)):
        save_gate(starter_dir(), name=NAME)
    monkeypatch.undo()
    assert _left_in_store(NAME) == []
    assert list(staging.iterdir()) == []


def test_a_copy_that_a_kill_left_half_done_is_removed(tag: bentoml.Tag) -> None:
    half = bentoml.Tag(NAME, "half")
    place = Path(bentoml.models.get(tag).path).with_name("half")
    for kept in (["model.yaml"], [MANIFEST], []):
        place.mkdir()
        for name in kept:
            shutil.copy(Path(bentoml.models.get(tag).path) / name, place)
        assert not finish_save(half)
        assert not place.exists()
    assert save_gate(starter_dir(), name=NAME, version="half") == half
    assert finish_save(half)
    bentoml.models.delete(half)


def test_an_entry_that_cannot_be_read_for_now_is_kept(
    tag: bentoml.Tag, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    place = Path(bentoml.models.get(tag).path)
    with monkeypatch.context() as patched:
        patched.setattr("plantood.model.store.open_gate", fails)
        with pytest.raises(StoreUnusable, match="Too many open files"):
            finish_save(tag)
    assert place.is_dir()
    assert finish_save(tag)


def test_an_entry_that_was_saved_last_is_the_latest_also_after_a_kill(tag: bentoml.Tag) -> None:
    newer = save_gate(starter_dir(), name=NAME, version="newer")
    latest = Path(bentoml.models.get(newer).path).with_name("latest")
    latest.write_text(str(tag.version))  # as if killed before it was written anew
    assert finish_save(tag)
    assert bentoml.models.get(NAME).tag == tag
    assert finish_save(newer)
    assert bentoml.models.get(NAME).tag == newer
    assert finish_save(tag)
    assert bentoml.models.get(NAME).tag == newer
    bentoml.models.delete(newer)


def test_a_prefix_is_not_the_entry(tag: bentoml.Tag) -> None:
    assert not finish_save(bentoml.Tag(NAME, str(tag.version)[:-2]))


def _save_and_die(copies: int) -> None:
    """Save, and be killed when so many copies of files are done and half of the next one."""

    def counting(source: Path, target: Path, **options: object) -> object:
        nonlocal copies
        if copies == 0:
            data = Path(source).read_bytes()
            Path(target).write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        copies -= 1
        return real(source, target, **options)

    real, shutil.copyfile = shutil.copyfile, counting  # which copies trees, too
    save_gate(starter_dir(), name=NAME, version="child")


@pytest.mark.parametrize("file_systems", [1, 2])
def test_killed_anywhere_it_leaves_the_latest_whole(
    file_systems: int, beside: Path, tag: bentoml.Tag, request: pytest.FixtureRequest
) -> None:
    """That is, the parent of the same name, until the child is there as a whole."""
    if file_systems == 2:
        other = Path(tempfile.mkdtemp(prefix="plantood-", dir="/dev/shm"))
        request.addfinalizer(lambda: shutil.rmtree(other))
        beside.rmdir()
        beside.symlink_to(other)
        if other.stat().st_dev == store_dir().stat().st_dev:
            pytest.skip("/dev/shm is no file system of its own")
    child, context = bentoml.Tag(NAME, "child"), multiprocessing.get_context("fork")
    copies, exitcode = 0, None
    while exitcode != 0:
        process = context.Process(target=_save_and_die, args=(copies,))
        process.start()
        process.join(60)
        exitcode = process.exitcode
        assert exitcode in (0, -signal.SIGKILL)
        there = [str(tag), str(child)] if exitcode == 0 else [str(tag)]
        assert load_gate(f"{NAME}:latest").tag == there[-1]
        assert [gate.tag for gate in list_gates(NAME)] == there[::-1]
        if file_systems == 1:
            assert {str(model.tag) for model in bentoml.models.list(NAME)} == set(there)
        assert finish_save(child) == (exitcode == 0)  # by which a command begins anew
        copies += 1
    assert copies > 10
    bentoml.models.delete(child)


def test_what_killed_processes_left_beside_the_store_goes_after_a_day(
    beside: Path, tag: bentoml.Tag
) -> None:
    assert list(beside.iterdir()) == []
    for name, age_s in (("of-today", 3600), ("of-old", 25 * 3600)):
        (beside / name).mkdir()
        os.utime(beside / name, (time.time() - age_s,) * 2)
    other = save_gate(starter_dir(), name=NAME)
    assert [left.name for left in beside.iterdir()] == ["of-today"]
    (beside / "of-today").rmdir()
    bentoml.models.delete(other)
