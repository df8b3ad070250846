"""Sources that are left out choose the penalty of a linear head."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.training.common.settings import DataSettings, FitSettings, TrainOptions
from plantood.training.judging.rule import VALIDATION
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


def probabilities(path: Path) -> np.ndarray:
    with np.load(path) as file:
        return file["probabilities"]


def test_each_photo_is_judged_without_its_source(options: TrainOptions) -> None:
    """As by `leave-one-out`, which is another way through the same photos."""
    trained = train(replace(options, name="train"))
    dataset = load_dataset(options.data, options.dataset, options.cache)
    known = {photo.sha256 for photo in dataset.train + dataset.val}
    found = probabilities(trained.folder / "gap" / "unseen.npz")
    assert found.shape == (6, len(known))

    judged = leave_one_out(replace(options, name="folds"))
    rows = []
    for source in dataset.sources:
        (place,) = judged.folder.glob(f"{source.replace(' ', '_')}-*")
        left_out = dataset.leaving_out([source]).left_out
        own = probabilities(place / "gap" / "said.npz")[:, : len(left_out)]
        rows.append(own[:, [photo.sha256 in known for photo in left_out]])
    np.testing.assert_allclose(
        np.sort(found), np.sort(np.concatenate(rows, axis=1)), rtol=1e-4, atol=1e-6
    )
    (model,) = trained.report["models"]
    path = model["history"]["frozen backbone"]
    lowest = min(path, key=lambda row: row["unseen_loss"])
    assert model["settings"]["penalty"] == lowest["penalty"]
    assert model["chosen_on"] == VALIDATION
    assert model["chosen_threshold"]["plants"] == sum(photo.label for photo in dataset.val)
    (folds,) = judged.report["models"]
    assert folds["unseen"]["threshold"]["plants"] == SOURCES * PER_SOURCE
    assert len({fold["source"] for fold in judged.report["folds"]}) == 2 * SOURCES


def test_an_interrupted_run_goes_on(options: TrainOptions) -> None:
    first = train(replace(options, name="saved"))
    kept = first.folder / "gap" / "unseen.npz"
    expected, written = probabilities(kept), kept.stat().st_mtime_ns
    (first.folder / "gap" / "phase1.npz").unlink()
    again = train(replace(options, name="saved"))
    assert kept.stat().st_mtime_ns == written
    assert json.dumps(again.report["models"]) == json.dumps(first.report["models"])
    kept.unlink()
    train(replace(options, name="saved"))
    np.testing.assert_array_equal(probabilities(kept), expected)


def test_a_penalty_that_is_named_is_not_chosen(options: TrainOptions) -> None:
    named = train(replace(options, fit=replace(options.fit, penalty=0.1), name="named"))
    assert not list(named.folder.rglob("unseen.npz"))
    (row,) = named.report["models"][0]["history"]["frozen backbone"]
    assert row["penalty"] == 0.1


def test_the_second_phase_has_to_beat_every_penalty(options: TrainOptions) -> None:
    """And not only the one that sources left out have chosen."""
    tuned = replace(options.fit, fine_tune_epochs=1)
    (model,) = train(replace(options, fit=tuned, name="tuned")).report["models"]
    first, second = (model["history"][name] for name in ("frozen backbone", "fine-tuning"))
    lowest = min(row["val_loss"] for row in first)
    assert model["tuned"] == (second[0]["val_loss"] < lowest)
