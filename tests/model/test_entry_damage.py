"""A gate model as a folder, damaged or forged: it is refused, and what is wrong is named."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from plantood.errors import GateModelCorrupt, GateModelNotFound
from plantood.judging.gate import Gate
from plantood.model.entry import (
    CARD,
    CORRECTION,
    FILES,
    HEAD,
    KERAS,
    MANIFEST,
    MEMORY,
    METRICS,
    GateModel,
    open_gate,
    sha256,
    write_entry,
)
from plantood.model.parts.memory import Memory
from plantood.model.saving import save_gate
from plantood.model.starter import starter_dir
from tests.conftest import SAMPLES
from tests.model.entries import ABOUT, model_files

STARTER_FILES = [name for name in FILES if (starter_dir() / name).exists()]


@pytest.mark.parametrize("name", STARTER_FILES)
def test_a_changed_file_is_named(entry: Path, name: str) -> None:
    content = bytearray((entry / name).read_bytes())
    content[len(content) // 2] ^= 1
    (entry / name).write_bytes(content)
    with pytest.raises(GateModelCorrupt, match=f"{name} differs from the digest"):
        open_gate(entry)


@pytest.mark.parametrize("name", [*(name for name in STARTER_FILES if name != KERAS), MANIFEST])
def test_a_missing_file_is_named(entry: Path, name: str) -> None:
    (entry / name).unlink()
    with pytest.raises(GateModelCorrupt, match=f"{name} is missing"):
        open_gate(entry)


@pytest.mark.parametrize("extra", ["evil.so", ".hidden", "folder"])
def test_what_the_manifest_does_not_name_is_refused(entry: Path, extra: str) -> None:
    (entry / extra).mkdir() if extra == "folder" else (entry / extra).touch()
    with pytest.raises(GateModelCorrupt, match=rf"{extra} is not named in gate\.json; delete"):
        open_gate(entry)
    with pytest.raises(GateModelCorrupt, match=extra):
        save_gate(entry, name="copy")


@pytest.mark.parametrize("name", [MEMORY, "reference.npz"])
def test_statistics_that_the_manifest_does_not_name_are_refused(tmp_path: Path, name: str) -> None:
    directory = model_files(tmp_path / "new")
    write_entry(directory, **ABOUT)
    (directory / name).write_bytes(b"statistics")
    with pytest.raises(GateModelCorrupt, match=rf"{name} is not named"):
        open_gate(directory)


@pytest.mark.parametrize("name", [HEAD, MANIFEST, "model.yaml"])
def test_a_symbolic_link_is_refused_wherever_it_leads(
    entry: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(
        (entry / name).read_bytes() if (entry / name).exists() else b"tag: 1"
    )
    (entry / name).unlink(missing_ok=True)
    (entry / name).symlink_to(tmp_path / name)
    with pytest.raises(GateModelCorrupt, match=rf"{name} is a symbolic link"):
        open_gate(entry)


@pytest.mark.parametrize("name", [MEMORY, CORRECTION])
def test_what_cannot_be_read_is_named(entry: Path, name: str) -> None:
    manifest = json.loads((entry / MANIFEST).read_text())
    (entry / name).write_bytes(pickle.dumps({"kernel": 1}))
    manifest["files"][name] = sha256(entry / name)
    (entry / MANIFEST).write_text(json.dumps(manifest))
    gate = open_gate(entry)
    read = {MEMORY: gate.memory, CORRECTION: gate.correction}
    with pytest.raises(GateModelCorrupt, match=f"{name} cannot be read"):
        read[name]()


def _with(entry: Path, name: str, content: bytes, **changes: object) -> GateModel:
    """An entry with another file and a changed manifest, all of its digests right."""
    (entry / name).write_bytes(content)
    manifest = json.loads((entry / MANIFEST).read_text()) | changes
    manifest["files"][name] = sha256(entry / name)
    (entry / MANIFEST).write_text(json.dumps(manifest))
    return open_gate(entry)


def _archive(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """The starter's memory with another array."""
    arrays = vars(open_gate(starter_dir()).memory())
    return _archive(**arrays | {name: change(arrays[name])})


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (METRICS, b"", "is no JSON object"),
        (METRICS, b"[" * 100_000, "is no JSON object"),
        (METRICS, b"[1]", "is no JSON object"),
        (METRICS, b"\xff\xfe", "is no text in UTF-8"),
        (CARD, b"\xff\xfe", "is no text in UTF-8"),
        (CARD, b" " * ((64 << 20) + 1), "has more than 67,108,864 bytes"),
    ],
    ids=["empty", "deep", "a list", "no text", "card", "large"],
)
def test_words_that_cannot_be_understood_are_named(
    entry: Path, name: str, content: bytes, says: str
) -> None:
    with pytest.raises(GateModelCorrupt, match=rf"{name} {says}"):
        _with(entry, name, content)


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("codes", lambda codes: codes[:0]),
        ("codes", lambda codes: codes[:, 1:]),
        ("codes", lambda codes: codes[0]),
        ("codes", lambda codes: codes * np.nan),
        ("mean", lambda mean: mean[1:]),
        ("directions", lambda directions: directions[:, 1:]),
        ("logit", lambda logit: logit.astype("U8")),
        ("plant", lambda plant: plant[1:]),
        ("source", lambda source: source + 1000),
        ("source", lambda source: source - 1000),
        ("sources", lambda sources: np.arange(len(sources))),
    ],
)
def test_a_memory_whose_arrays_do_not_belong_together_is_named(
    entry: Path, array: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    gate = _with(entry, MEMORY, _changed(array, change))
    with pytest.raises(GateModelCorrupt, match=r"memory\.npz cannot be read"):
        gate.memory()


def test_an_archive_that_inflates_is_refused_by_what_it_says(entry: Path) -> None:
    with zipfile.ZipFile(entry / MEMORY, "w", zipfile.ZIP_DEFLATED) as archive:
        for field in fields(Memory):
            archive.writestr(f"{field.name}.npy", bytes(8 << 20))
    assert (entry / MEMORY).stat().st_size < 100_000
    gate = _with(entry, MEMORY, (entry / MEMORY).read_bytes())
    with pytest.raises(GateModelCorrupt, match=r"memory\.npz cannot be read") as caught:
        gate.memory()
    assert "inflates to 75,497,472 bytes" in str(caught.value.__cause__)


ASKING = {"slope": 1.0, "intercept": 0.0, "margin": 1.0, "pictures": 10_000}


@pytest.mark.parametrize("plant", [True, False])
def test_a_memory_of_one_class_where_both_are_asked_for(entry: Path, plant: bool) -> None:
    content = _changed("plant", lambda labels: np.full_like(labels, plant))
    gate = _with(entry, MEMORY, content, calibration=ASKING)
    for ask in (gate.scorer, gate.neighbours):
        with pytest.raises(GateModelCorrupt, match=r"memory\.npz does not remember both plants"):
            ask()
    with pytest.raises(GateModelCorrupt, match="does not remember both plants"):
        Gate(_with(entry, MEMORY, content, calibration=None)).nearest(SAMPLES / "maize_leaf.jpg")


def test_parts_of_another_network_are_named(entry: Path) -> None:
    memory = open_gate(starter_dir()).memory()
    fewer = replace(memory, mean=memory.mean[1:], directions=memory.directions[:, 1:])
    gate = _with(entry, MEMORY, _archive(**vars(fewer)), calibration=ASKING)
    with pytest.raises(GateModelCorrupt, match=r"gives 1280 channels, and the memory .* of 1279"):
        gate.scorer()
    small = np.float32(1)
    content = _archive(gain=small, bias=small, kernel=np.ones(5, np.float32))
    gate = _with(entry, CORRECTION, content, calibration=None)
    with pytest.raises(GateModelCorrupt, match=r"1280 channels, and the correction .* of 5"):
        gate.scorer()
    assert gate.scorer(corrected=False)
    gate = _with(entry, CARD, b"", input_size=96)
    with pytest.raises(GateModelCorrupt, match=r"takes 224 pixels a side, and gate\.json says 96"):
        gate.scorer(corrected=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gain": np.ones(2, np.float32)},
        {"bias": np.float32(np.inf)},
        {"kernel": np.ones((2, 2), np.float32)},
        {"kernel": np.ones(1280, int)},
    ],
)
def test_a_correction_that_is_none_is_named(entry: Path, wrong: dict) -> None:
    right = {"gain": np.float32(1), "bias": np.float32(0), "kernel": np.zeros(1280, np.float32)}
    assert _with(entry, CORRECTION, _archive(**right)).scorer()
    gate = _with(entry, CORRECTION, _archive(**right | wrong))
    with pytest.raises(GateModelCorrupt, match=r"correction\.npz cannot be read"):
        gate.scorer()


def test_a_threshold_that_no_gate_ever_had_is_refused(entry: Path) -> None:
    manifest = json.loads((entry / MANIFEST).read_text())
    manifest["policy"]["max_strangeness"] = 1
    (entry / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(GateModelCorrupt, match=r"policy\.max_strangeness"):
        open_gate(entry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format_version"),
        ({"files": {"../../etc/passwd": "0"}}, "names files that no gate model has"),
        ({"files": {}}, r"names no digest of backbone\.onnx, card\.md, head\.onnx"),
        ({"policy": {"plant_threshold": 2}}, r"policy\.plant_threshold"),
        ({"calibration": {"slope": -1, "intercept": 0}}, r"calibration.*slope must be positive"),
    ],
)
def test_a_manifest_that_makes_no_sense(entry: Path, change: dict, message: str) -> None:
    manifest = json.loads((entry / MANIFEST).read_text()) | change
    (entry / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(GateModelCorrupt, match=rf"gate\.json .*{message}"):
        open_gate(entry)


def test_a_manifest_that_is_no_json(entry: Path) -> None:
    (entry / MANIFEST).write_text("{")
    with pytest.raises(GateModelCorrupt, match=r"gate\.json cannot be understood"):
        open_gate(entry)


def test_no_entry_there(tmp_path: Path) -> None:
    with pytest.raises(GateModelNotFound, match="nothing-here"):
        open_gate(tmp_path / "nothing-here")


class _Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_nothing_is_ever_unpickled(entry: Path, tmp_path: Path) -> None:
    """Not even statistics whose digest was forged."""
    trap = np.array([_Touch(tmp_path / "executed")], dtype=object)
    np.savez(entry / MEMORY, mean=trap)
    manifest = json.loads((entry / MANIFEST).read_text())
    manifest["files"][MEMORY] = sha256(entry / MEMORY)
    (entry / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(GateModelCorrupt, match=r"memory\.npz cannot be read"):
        open_gate(entry).memory()
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(_Touch(tmp_path / "executed")))  # the trap itself works
    assert (tmp_path / "executed").exists()
