"""A gate model as a folder: written, opened, and what it says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.errors import GateModelCorrupt, GateModelError
from plantood.model.entry import (
    CARD,
    CORRECTION,
    FILES,
    HEAD,
    KERAS,
    MANIFEST,
    MEMORY,
    METRICS,
    open_gate,
    sha256,
    write_entry,
)
from plantood.model.manifest import TrainingData
from plantood.model.parts.calibration import Calibration
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import remember
from plantood.model.parts.neighbours import Neighbours
from plantood.model.saving import save_gate
from plantood.model.store import load_gate
from tests.model.entries import ABOUT, model_files


def test_write_and_open(tmp_path: Path) -> None:
    directory = model_files(tmp_path / "new")
    written = write_entry(
        directory,
        **ABOUT,
        metrics_summary={"accuracy": 0.9},
        quantization="float16",
        parent="plantood-gate:mother",
    )
    gate = open_gate(directory)
    assert gate.manifest == written
    assert gate.tag == "new"
    assert gate.manifest.classes == {"0": "other", "1": "plant"}
    assert gate.manifest.policy.plant_threshold == 0.6
    assert gate.manifest.parent == "plantood-gate:mother"
    assert gate.manifest.created.utcoffset().total_seconds() == 0
    assert {"python", "bentoml", "onnxruntime", "keras"} <= set(gate.manifest.versions)
    assert gate.metrics == {"test": {"accuracy": 0.9}}
    assert gate.card.startswith("# A card")
    assert gate.memory() is gate.correction() is None
    assert gate.manifest.files == {
        name: sha256(directory / name) for name in FILES if (directory / name).exists()
    }


def test_it_says_what_it_was_trained_on(tmp_path: Path) -> None:
    data = [
        TrainingData(
            kind="photos", path="/photos.csv", photos=9, labels_sha256="ab", left_out=("attic",)
        ),
        TrainingData(kind="round", path="/round-1", photos=3, labels_sha256="cd"),
    ]
    write_entry(model_files(tmp_path / "new"), **ABOUT, data=data)
    assert open_gate(tmp_path / "new").manifest.data == tuple(data)


def test_an_entry_of_before_that_was_written_down_is_read(entry: Path) -> None:
    manifest = json.loads((entry / MANIFEST).read_text())
    manifest.pop("data", None)
    (entry / MANIFEST).write_text(json.dumps(manifest))
    assert open_gate(entry).manifest.data == ()


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert sha256(tmp_path / "abc") == expected


def test_an_entry_needs_itsmodel_files(tmp_path: Path) -> None:
    directory = model_files(tmp_path / "new")
    (directory / HEAD).unlink()
    with pytest.raises(GateModelError, match=r"lacks head\.onnx"):
        write_entry(directory, **ABOUT)


def test_a_copy_without_the_keras_model_serves_and_does_nothing_else(entry: Path) -> None:
    whole = open_gate(entry)
    (entry / KERAS).unlink()
    copy = open_gate(entry)
    assert copy.manifest == whole.manifest
    pixels = np.zeros((1, copy.manifest.input_size, copy.manifest.input_size, 3), np.uint8)
    assert copy.scorer().score(pixels).plant_probability.shape == (1,)
    with pytest.raises(GateModelError, match=r"is a copy for serving, without model\.keras"):
        _ = copy.keras_path
    with pytest.raises(GateModelError, match="is a copy for serving"):
        save_gate(entry, name="copy")


def test_its_scorer_is_calibrated_as_the_manifest_says(tmp_path: Path) -> None:
    directory = model_files(tmp_path / "new")
    write_entry(directory, **ABOUT)
    side = open_gate(directory).manifest.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    plain = open_gate(directory).scorer().score(pixels)
    calibration = Calibration(0.5, -1.25)
    write_entry(directory, **ABOUT, calibration=calibration)
    gate = open_gate(directory)
    assert gate.manifest.calibration == calibration
    calibrated = gate.scorer().score(pixels)
    odds = plain.plant_probability / (1 - plain.plant_probability)
    expected = np.exp(-1.25) * odds**0.5
    np.testing.assert_allclose(
        calibrated.plant_probability, expected / (1 + expected), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(calibrated.embedding, plain.embedding)


def test_what_it_learned_later_comes_after_the_calibration(tmp_path: Path) -> None:
    directory = model_files(tmp_path / "new")
    write_entry(directory, **ABOUT)
    plain = open_gate(directory)
    side = plain.manifest.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    before = plain.scorer().score(pixels)
    kernel = np.random.default_rng(1).normal(size=before.embedding.shape[1]).astype(np.float32)
    correction = Correction(np.float32(0.5), kernel, np.float32(0.2))
    calibration = Calibration(0.5, -1.25)
    remembered = remember(
        before.embedding, np.zeros(3), np.ones(3, bool), ["s"] * 3, np.ones(3), directions=2
    )
    write_entry(
        directory, **ABOUT, calibration=calibration, correction=correction, memory=remembered
    )
    gate = open_gate(directory)
    calibrated = calibration.apply(before.plant_probability)
    corrected = correction.plant_probability(calibrated, before.embedding)
    assert np.abs(corrected - calibrated).min() > 0.001
    after = gate.scorer().score(pixels)
    np.testing.assert_allclose(after.plant_probability, corrected, atol=1e-6)
    uncorrected = gate.scorer(corrected=False).score(pixels)
    np.testing.assert_allclose(uncorrected.plant_probability, calibrated, atol=1e-6)
    np.testing.assert_array_equal(after.embedding, before.embedding)
    assert gate.memory() is not None
    assert len(gate.memory()) == 3
    assert {MEMORY, CORRECTION} <= set(gate.manifest.files)


def test_its_calibration_asks_the_memory_that_it_was_made_with(tmp_path: Path) -> None:
    directory = model_files(tmp_path / "new")
    write_entry(directory, **ABOUT)
    plain = open_gate(directory)
    side = plain.manifest.input_size
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, side, side, 3), np.uint8)
    before = plain.scorer().score(pixels)
    known, photos = before.embedding[:17], pixels[17:]
    plant = np.arange(17) % 2 == 0
    remembered = remember(known, np.zeros(17), plant, ["s"] * 17, np.ones(17), directions=8)
    calibration = Calibration(0.5, -1.25, margin=30.0, pictures=17)
    write_entry(directory, **ABOUT, calibration=calibration, memory=remembered)
    margin = Neighbours(remembered).distances(before.embedding[17:]).margin
    assert np.abs(margin).max() > 1e-3
    expected = calibration.apply(before.plant_probability[17:], margin)
    served = open_gate(directory).scorer().score(photos).plant_probability
    np.testing.assert_allclose(served, expected, atol=1e-5)
    assert np.abs(served - calibration.apply(before.plant_probability[17:])).max() > 1e-3

    # What it learns later stands behind, and moves no margin.
    rows = np.r_[np.arange(17), np.zeros(12, int)]
    names = ("codes", "rest", "logit", "plant", "source", "weight")
    longer = replace(remembered, **{name: getattr(remembered, name)[rows] for name in names})
    write_entry(directory, **ABOUT, calibration=calibration, memory=longer)
    again = open_gate(directory).scorer().score(photos).plant_probability
    np.testing.assert_array_equal(again, served)

    (directory / MEMORY).unlink()
    write_entry(directory, **ABOUT, calibration=calibration)
    with pytest.raises(GateModelCorrupt, match=r"memory\.npz is missing, which its calibration"):
        open_gate(directory).scorer()


@pytest.mark.parametrize("limit", [None, 1.5])
def test_an_entry_from_when_gates_had_a_limit_of_unfamiliarity(
    entry: Path, limit: float | None
) -> None:
    manifest = json.loads((entry / MANIFEST).read_text())
    policy = open_gate(entry).manifest.policy
    manifest["policy"]["max_unfamiliarity"] = limit
    (entry / "reference.npz").write_bytes(b"statistics")
    manifest["files"]["reference.npz"] = sha256(entry / "reference.npz")
    (entry / MANIFEST).write_text(json.dumps(manifest))
    gate = open_gate(entry)
    assert gate.manifest.policy == policy
    assert "max_unfamiliarity" not in gate.manifest.model_dump_json()
    saved = save_gate(entry, name="of-before")
    assert (load_gate(saved).path / "reference.npz").exists()
    (entry / "reference.npz").write_bytes(b"something else")
    with pytest.raises(GateModelCorrupt, match=r"reference\.npz differs"):
        open_gate(entry)


def test_an_entry_from_before_there_was_calibration(entry: Path) -> None:
    manifest = json.loads((entry / MANIFEST).read_text())
    manifest.pop("calibration", None)
    (entry / MANIFEST).write_text(json.dumps(manifest))
    assert open_gate(entry).manifest.calibration is None


def test_metrics_are_those_of_the_file(entry: Path) -> None:
    assert open_gate(entry).metrics == json.loads((entry / METRICS).read_text())
    assert open_gate(entry).card == (entry / CARD).read_text()
