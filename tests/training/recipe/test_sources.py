"""A recipe on many sources: those that are left out choose calibration and threshold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.model.store import load_gate
from plantood.training.common.settings import DataSettings
from plantood.training.features.scoring import score_photos
from plantood.training.judging.decision.rule import LEFT_OUT
from plantood.training.judging.metrics import cross_entropy
from plantood.training.photos.dataset import labels_of, load_dataset
from tests.training.recipe.pictures import SOIL, TABLE, ellipse, leaf_photo, save, textured

SOURCES = 5
PER_SOURCE = 8


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of leaves on tables of many colours, and grounds of as many."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for source in range(SOURCES):
        table, ground = (
            np.clip(np.array(base) + rng.integers(-40, 40, 3), 0, 255) for base in (TABLE, SOIL)
        )
        for n in range(PER_SOURCE):
            mask = ellipse(112, long=rng.uniform(0.3, 0.45), angle=rng.uniform(0, 3))
            tint = table + rng.integers(-20, 20, 3)
            save(folder / "plant", f"scans {source}", str(n), leaf_photo(mask, tint))
            pixels = textured(112, tuple(ground.tolist()), seed=100 * source + n)
            save(folder / "other", f"soil {source}", str(n), pixels)
    return folder


def test_what_is_served_is_what_was_judged(photos: Path, tmp_path: Path) -> None:
    roles = [f"leaves={','.join(f'scans {n}' for n in range(SOURCES))}"]
    roles += [f"ground={','.join(f'soil {n}' for n in range(SOURCES))}"]
    arguments = ["train", str(photos), "--backbone", "efficientnet_lite0", "--weights", "starter"]
    arguments += ["--heads", "gap", "--recipe", "composites", "--made", "1.5"]
    arguments += [word for role in roles for word in ("--role", role)]
    arguments += ["--min-per-class", "5", "--gate-name", "many-sources", "--name", "run"]
    arguments += ["--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output
    report = json.loads((tmp_path / "runs" / "run" / "report.json").read_text())
    (model,) = report["models"]
    dataset = load_dataset(photos, DataSettings(min_per_class=5), tmp_path / "cache")
    known = dataset.train + dataset.val
    assert model["chosen_on"] == LEFT_OUT
    assert model["chosen_threshold"]["plants"] == sum(photo.label for photo in known)
    with np.load(tmp_path / "runs" / "run" / "gap" / "unseen.npz") as said:
        assert said["probabilities"].shape == (1, len(known))
        assert said["margins"].shape == (len(known),)
        assert np.abs(said["margins"]).max() > 0.01

    gate = load_gate("many-sources:latest")
    memory, calibration = gate.memory(), gate.manifest.calibration
    assert memory is not None
    assert gate.manifest.policy.plant_threshold == model["chosen_threshold"]["threshold"]
    if calibration is not None:
        assert calibration.pictures == (len(memory) if calibration.margin else 0)
    for split, mine in (("val", dataset.val), ("test", dataset.test)):
        served = score_photos(gate.scorer(1), mine, "Scoring").plant_probability
        loss = cross_entropy(labels_of(mine), served).mean()
        assert model["splits"][split]["at_half"]["loss"] == pytest.approx(loss, abs=0.01)
