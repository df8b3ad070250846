from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.model.entry import KERAS, open_gate, sha256
from plantood.model.parts.arrays import unit
from plantood.model.parts.calibration import logit
from plantood.model.starter import starter_dir
from plantood.training.common.settings import DataSettings
from plantood.training.features.cache import read_input
from plantood.training.fitting.probe import Probe
from plantood.training.judging.seen import seen_by
from plantood.training.judging.unseen import unseen_table
from plantood.training.photos.dataset import load_dataset
from plantood.training.recipe import plan
from plantood.training.recipe.bank import Bank
from plantood.training.recipe.samples import Sample
from plantood.training.starter.leave_out import COSTS
from plantood.training.starter.photos import read_rows
from plantood.training.starter.roles import TOGETHER
from plantood.training.starter.train import fit_fold, fold_says, probe_head, train_starter
from tests.training.recipe.pictures import (
    ellipse,
    leaf_photo,
    rows_of_all_sources,
    save,
    textured,
)

SOURCES = ("farm", "garden", "street", "room")


@pytest.fixture
def bank() -> Bank:
    """Forty embeddings of two plant and two other sources, that a probe tells apart."""
    rng = np.random.default_rng(0)
    samples = [
        Sample("photo", source in SOURCES[:2], (source,), (), (Path(source, str(number)),))
        for number in range(10)
        for source in SOURCES
    ]
    embeddings = rng.normal(0, 0.5, (40, 6)).astype(np.float32)
    embeddings[:, 0] += np.where([sample.plant for sample in samples], 2.0, -2.0)
    return Bank(samples, unit(embeddings))


def test_a_fold_knows_nothing_of_its_source(bank: Bank) -> None:
    farm, street = np.arange(0, 40, 4), np.arange(2, 40, 4)
    # Another bank, in which labels and pictures of the farm say the opposite.
    embeddings = bank.embeddings.copy()
    embeddings[farm] = -embeddings[farm]
    samples = [replace(s, plant=s.plant ^ (s.sources == ("farm",))) for s in bank.samples]
    lying = Bank(samples, embeddings)

    first, margins = fold_says(bank, frozenset(), frozenset({"farm"}), farm)
    assert first.shape == margins.shape == (10,)
    assert np.all(first > 0)
    assert margins.mean() > 0  # nearer to the garden's plants than to any other
    room = np.arange(3, 40, 4)
    _, expected = fold_says(bank, frozenset(), frozenset({"farm"}), room)
    _, unmoved = fold_says(lying, frozenset(), frozenset({"farm"}), room)
    np.testing.assert_allclose(unmoved, expected, atol=1e-3)
    np.testing.assert_allclose(
        fit_fold(lying, frozenset(), frozenset({"farm"}))[0].kernel,
        fit_fold(bank, frozenset(), frozenset({"farm"}))[0].kernel,
        atol=1e-4,
    )
    misled, _ = fold_says(lying, frozenset(), frozenset({"street"}), street)
    honest, _ = fold_says(bank, frozenset(), frozenset({"street"}), street)
    assert not np.allclose(misled, honest, atol=0.05)  # this one has seen the lies


def test_a_photo_of_doubtful_label_is_not_trained_on(bank: Bank) -> None:
    wrong = bank.samples[0].photos[0]
    samples = [replace(bank.samples[0], plant=False), *bank.samples[1:]]
    known, unknown = frozenset({wrong}), frozenset[Path]()
    kernels = {
        name: fit_fold(Bank(mine, bank.embeddings), doubtful, frozenset())[0].kernel
        for name, mine, doubtful in (
            ("right", bank.samples, known),
            ("wrong", samples, known),
            ("trained", samples, unknown),
        )
    }
    np.testing.assert_allclose(kernels["wrong"], kernels["right"], atol=1e-5)
    assert not np.allclose(kernels["trained"], kernels["right"], atol=1e-3)


def test_the_head_is_the_probe() -> None:
    rng = np.random.default_rng(1)
    probe = Probe(rng.normal(size=5).astype(np.float32), 0.3)
    maps = rng.random((4, 7, 7, 5), np.float32)
    logits = probe.logits(unit(maps.mean(axis=(1, 2))))
    probability = np.asarray(probe_head(probe, (7, 7, 5))(maps))[:, 0]
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logits)), atol=1e-5)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Five small photos of every source of the recipe: green leaves, and blotches without any."""
    rng = np.random.default_rng(0)
    file = tmp_path / "manifest.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["path", "label", "source", "split", "sha256"])
        for n, row in enumerate(rows_of_all_sources(5)):
            if row.plant:
                leaf = ellipse(96, long=rng.uniform(0.3, 0.45), angle=rng.uniform(0, 3))
                pixels = leaf_photo(leaf, ground=rng.integers(60, 140, 3))
            else:
                pixels = textured(colour=rng.uniform(60, 200, 3), seed=n)
            path = save(tmp_path, row.source, str(n), pixels)
            label = "plant" if row.plant else "other"
            writer.writerow([path, label, row.source, row.split, sha256(path)])
    return file


def test_from_photos_to_an_entry_in_the_place_of_the_old_one(
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(plan, "COUNTS", dict.fromkeys(plan.COUNTS, 2))
    monkeypatch.setattr(plan, "MAX_COPIES", 2)
    out = tmp_path / "gate"
    out.mkdir()
    (out / "old").touch()
    header, rows, unseen = train_starter(
        manifest, starter_dir() / KERAS, out, cache=tmp_path / "cache"
    )
    assert [row[0] for row in rows].count("soil_NHA078") == 1
    assert len(rows) == 17 + 2  # every source, and the means of both classes
    assert (header, rows) == unseen_table({"starter": unseen.accepted(COSTS)}, TOGETHER)
    assert not (out / "old").exists()
    assert not list(tmp_path.glob(".starter-*"))
    assert "Under 30 photos, so look at the intervals" in capsys.readouterr().err

    gate = open_gate(out)
    assert gate.manifest.quantization == "float16"
    chosen = gate.metrics["chosen_threshold"]
    assert gate.manifest.policy.plant_threshold == chosen["threshold"]
    assert chosen["plants"] + chosen["others"] == 17 * 4  # without the test split
    assert "sources that were left out in turn, in training and validation" in gate.card
    assert gate.metrics["leave_one_out"] == [list(header), *map(list, rows)]
    assert gate.metrics["settings"]["recipe"] == "linear probe"
    assert set(gate.metrics["splits"]) == {"test"}  # validation photos were trained on
    seen = seen_by(gate)
    assert seen is not None
    assert (len(seen.train), len(seen.val)) == (17 * 4, 0)
    # Nor does the card call any of them validation.
    assert "| source | label | train | test |" in gate.card
    assert "| soil_NHA078 | other | 4 |" in gate.card
    assert gate.metrics["export"]["quantization"] == "float16"
    judged = load_dataset(manifest, DataSettings(), tmp_path / "cache").test
    assert len(judged) < 17  # some of the drawn photos look like one that was trained on
    assert gate.metrics["splits"]["test"]["at_half"]["count"] == len(judged)
    assert gate.metrics["splits"]["test"]["at_half"]["accuracy"] > 0.9
    memory, calibration = gate.memory(), gate.manifest.calibration
    assert memory is not None
    # On drawn photos nothing is to be made straight; else margins go to all that is remembered.
    assert (calibration is None) == (gate.metrics["calibration"]["method"] == "none")
    if calibration is not None:
        assert calibration.pictures == (len(memory) if calibration.margin else 0)
    assert gate.metrics["calibration"]["log_loss"].keys() >= {"temperature", "neighbours"}
    # What the memory says that the gate said is what the gate says.
    pixels = np.stack(
        [read_input(row.path, 224) for row in read_rows(manifest) if row.split != "test"]
    )
    logits = logit(gate.scorer(1).score(pixels).plant_probability)
    assert np.abs(memory.logit[:, None] - logits).min(axis=0).max() < 0.5
    assert "Sources never seen" in gate.card
    assert "The share of others is taken to be 50.0%" in gate.card
    shipped = (starter_dir() / KERAS).stat().st_size
    assert (out / KERAS).stat().st_size == pytest.approx(shipped, rel=0.05)  # halved, too
