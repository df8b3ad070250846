"""Sources that are left out choose the penalty of a linear head."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.errors import SettingsError
from plantood.training.common.settings import DataSettings, FitSettings, TrainOptions
from plantood.training.judging.decision.rule import VALIDATION
from plantood.training.photos.dataset import load_dataset
from plantood.training.train.leave_one_out import leave_sources_out
from plantood.training.train.train import train_heads
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
    trained = train_heads(replace(options, name="train"))
    dataset = load_dataset(options.data, options.dataset, options.cache)
    known = {photo.sha256 for photo in dataset.train + dataset.val}
    found = probabilities(trained.folder / "gap" / "unseen.npz")
    assert found.shape == (6, len(known))

    judged = leave_sources_out(replace(options, name="folds"))
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
    first = train_heads(replace(options, name="saved"))
    kept = first.folder / "gap" / "unseen.npz"
    expected, written = probabilities(kept), kept.stat().st_mtime_ns
    (first.folder / "gap" / "phase1.npz").unlink()
    again = train_heads(replace(options, name="saved"))
    assert kept.stat().st_mtime_ns == written
    assert json.dumps(again.report["models"]) == json.dumps(first.report["models"])
    kept.unlink()
    train_heads(replace(options, name="saved"))
    np.testing.assert_array_equal(probabilities(kept), expected)


def test_a_penalty_that_is_named_is_not_chosen(options: TrainOptions) -> None:
    named = train_heads(replace(options, fit=replace(options.fit, penalty=0.1), name="named"))
    assert not list(named.folder.rglob("unseen.npz"))
    (row,) = named.report["models"][0]["history"]["frozen backbone"]
    assert row["penalty"] == 0.1


def test_the_second_phase_has_to_beat_every_penalty(options: TrainOptions) -> None:
    """And not only the one that sources left out have chosen."""
    tuned = replace(options.fit, fine_tune_epochs=1)
    (model,) = train_heads(replace(options, fit=tuned, name="tuned")).report["models"]
    first, second = (model["history"][name] for name in ("frozen backbone", "fine-tuning"))
    lowest = min(row["val_loss"] for row in first)
    assert model["tuned"] == (second[0]["val_loss"] < lowest)


UNIT = frozenset({"plant 0", "plant 1"})


@pytest.fixture(scope="module")
def together(options: TrainOptions) -> TrainOptions:
    return replace(options, dataset=replace(options.dataset, together=(UNIT,)), name="together")


@pytest.fixture(scope="module")
def under_one_name(options: TrainOptions) -> TrainOptions:
    """The same photos, those of the unit as of one source."""
    manifest = options.runs.parent / "one-name.csv"
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "source"])
        for path in sorted(options.data.rglob("*.jpg")):
            source = path.parent.name
            name = "plant 0 and 1" if source in UNIT else source
            rows.writerow([path, path.parent.parent.name, name])
    return replace(options, data=manifest, name="under-one-name")


def test_what_belongs_together_is_judged_as_if_it_were_one_source(
    together: TrainOptions, under_one_name: TrainOptions
) -> None:
    """Nothing of the unit is learned from when one of its sources is judged."""
    found, expected = (
        probabilities(train_heads(one).folder / "gap" / "unseen.npz")
        for one in (together, under_one_name)
    )
    np.testing.assert_array_equal(found, expected)


def test_leave_one_out_tells_of_each_source_without_its_unit(
    options: TrainOptions, together: TrainOptions, under_one_name: TrainOptions
) -> None:
    result, one = (
        leave_sources_out(replace(choices, name=f"{choices.name}-folds"))
        for choices in (together, under_one_name)
    )
    (of_unit,) = result.folder.glob("plant_0_plant_1-*/gap/said.npz")
    (of_one,) = one.folder.glob("plant_0_and_1-*/gap/said.npz")
    np.testing.assert_array_equal(probabilities(of_unit), probabilities(of_one))
    assert not list(result.folder.glob("plant_0-*"))
    folds = {fold["source"]: fold for fold in result.report["folds"]}
    assert len(folds) == 2 * SOURCES
    assert all(fold["count"] == PER_SOURCE for fold in folds.values())
    assert folds["plant 0"]["threshold"] == folds["plant 1"]["threshold"]
    assert result.report["facts"]["left out together"] == "plant 0 and plant 1"
    with pytest.raises(SettingsError, match="together was"):
        leave_sources_out(replace(options, name="together-folds"))


def test_what_belongs_together_is_part_of_what_a_run_is(
    options: TrainOptions, together: TrainOptions
) -> None:
    train_heads(replace(options, name="apart"))
    with pytest.raises(SettingsError, match=r"together was None, is \[\['plant 0', 'plant 1'\]\]"):
        train_heads(replace(together, name="apart"))


def test_who_is_left_out_takes_its_unit_along(together: TrainOptions) -> None:
    settings = replace(together.dataset, leave_out=("plant 1",))
    result = train_heads(replace(together, dataset=settings, name="left-out"))
    (model,) = result.report["models"]
    assert model["splits"]["left out"]["at_half"]["count"] == 2 * PER_SOURCE
    assert result.report["facts"]["left out"] == "plant 0, plant 1"


@pytest.mark.parametrize("command", ["train", "leave-one-out"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["plant 0"], "name two sources or more"),
        (["plant 0,plant 9"], "--together: no source is called plant 9; there are: other 0,"),
        (["plant 0,plant 1", "plant 1,plant 2"], "--together plant 0,plant 1,plant 2"),
    ],
)
def test_mistakes_are_told_at_the_start(
    command: str, given: list[str], said: str, options: TrainOptions
) -> None:
    words = [word for one in given for word in ("--together", one)]
    ran = CliRunner().invoke(main, [command, str(options.data), "--weights", "none", *words])
    assert ran.exit_code
    assert said in " ".join(ran.output.split())
