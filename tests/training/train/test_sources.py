"""Of many sources, those that are left out choose penalty, calibration and threshold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.model.store import load_gate
from plantood.training.common.settings import DataSettings, FitSettings, TrainOptions
from plantood.training.judging.rule import LEFT_OUT
from plantood.training.photos.dataset import load_dataset
from plantood.training.train.leave_one_out import leave_one_out
from plantood.training.train.train import train
from tests.training.conftest import Data, write_photo

SOURCES = 5
"""Of each class, each of which is a fold of its own."""
PER_SOURCE = 8


@pytest.fixture(scope="module")
def options(data: Data, tmp_path_factory: pytest.TempPathFactory) -> TrainOptions:
    folder = tmp_path_factory.mktemp("sources")
    for label, class_name in ((1, "plant"), (0, "other")):
        for source in range(SOURCES):
            for n in range(PER_SOURCE):
                path = folder / "photos" / class_name / f"{class_name} {source}" / f"{n}.jpg"
                write_photo(path, label, 1000 * source + n)
    return TrainOptions(
        folder / "photos",
        backbone="mobilenet",
        weights=str(data.weights),
        heads=("gap",),
        dataset=DataSettings(min_per_class=5),
        fit=FitSettings(fine_tune_epochs=0),
        runs=folder / "runs",
        cache=folder / "cache",
        save="none",
    )


def unseen_of(folder: Path) -> np.ndarray:
    with np.load(folder / "gap" / "unseen.npz") as file:
        return file["probabilities"]


def test_each_photo_is_judged_without_its_source(options: TrainOptions) -> None:
    """As by `leave-one-out`, which is another way through the same photos."""
    trained = train(replace(options, name="train"))
    dataset = load_dataset(options.data, options.dataset, options.cache)
    known = {photo.sha256 for photo in dataset.train + dataset.val}
    found = unseen_of(trained.folder)
    assert found.shape == (6, len(known))

    judged = leave_one_out(replace(options, name="folds"))
    rows = []
    for source in dataset.sources:
        (place,) = judged.folder.glob(f"{source.replace(' ', '_')}-*")
        left_out = dataset.leaving_out([source]).left_out
        rows.append(unseen_of(place)[:, [photo.sha256 in known for photo in left_out]])
    np.testing.assert_allclose(
        np.sort(found), np.sort(np.concatenate(rows, axis=1)), rtol=1e-4, atol=1e-6
    )
    (model,) = trained.report["models"]
    (folds,) = judged.report["models"]
    settings = model["history"]["frozen backbone"]
    lowest = min(settings, key=lambda row: row["unseen_loss"])
    assert model["settings"]["penalty"] == lowest["penalty"]
    assert model["chosen_on"] == LEFT_OUT
    assert model["chosen_threshold"]["plants"] == sum(p.label for p in dataset.train + dataset.val)
    assert folds["unseen"]["threshold"]["plants"] == SOURCES * PER_SOURCE
    assert len({fold["source"] for fold in judged.report["folds"]}) == 2 * SOURCES
    assert LEFT_OUT in trained.report["facts"]["threshold"]


def test_the_gate_says_so_and_an_interrupted_run_goes_on(options: TrainOptions) -> None:
    first = train(replace(options, name="saved", save="best"))
    gate = load_gate(first.tags["gap"])
    assert f"others of {LEFT_OUT}" in gate.card
    assert gate.manifest.policy.plant_threshold == gate.metrics["chosen_threshold"]["threshold"]
    kept = first.folder / "gap" / "unseen.npz"
    expected, written = unseen_of(first.folder), kept.stat().st_mtime_ns
    (first.folder / "gap" / "phase1.npz").unlink()
    again = train(replace(options, name="saved", save="best"))
    assert kept.stat().st_mtime_ns == written
    assert json.dumps(again.report["models"]) == json.dumps(first.report["models"])
    kept.unlink()
    train(replace(options, name="saved", save="best"))
    np.testing.assert_array_equal(unseen_of(first.folder), expected)


def test_a_backbone_that_was_tuned_is_judged_by_validation(options: TrainOptions) -> None:
    tuned = replace(options.fit, fine_tune_epochs=1, fine_tune_learning_rate=1e-5)
    (model,) = train(replace(options, fit=tuned, name="tuned")).report["models"]
    assert model["tuned"]
    assert model["chosen_on"] == "the validation split"
    assert "unseen_loss" in model["history"]["frozen backbone"][0]
