from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.training.common.settings import DataSettings, FitSettings, TrainOptions
from plantood.training.judging.evaluation import Scored
from plantood.training.photos.dataset import load_dataset
from plantood.training.train.fold import Fold
from plantood.training.train.leave_one_out import folds_told, leave_sources_out
from plantood.training.train.train import train_heads
from tests.training.conftest import Data, make_photo


@pytest.fixture(scope="module")
def options(data: Data, tmp_path_factory: pytest.TempPathFactory) -> TrainOptions:
    folder = tmp_path_factory.mktemp("leave-one-out")
    return TrainOptions(
        data.photos,
        backbone="mobilenet",
        weights=str(data.weights),
        heads=("gap",),
        dataset=DataSettings(min_per_class=5),
        fit=FitSettings(epochs=5, fine_tune_epochs=0),
        runs=folder / "runs",
        cache=folder / "cache",
        save="none",
    )


def test_every_source_in_turn(options: TrainOptions, capsys: pytest.CaptureFixture[str]) -> None:
    result = leave_sources_out(replace(options, name="all"))
    folds = json.loads((result.folder / "report.json").read_text())["folds"]
    assert [(fold["source"], fold["label"], fold["count"]) for fold in folds] == [
        ("a", "plant", 14),
        ("b", "plant", 14),
        ("c", "other", 14),
        ("d", "other", 14),
    ]
    split = result.report["models"][0]["splits"]["sources never seen"]
    accepted = sum(fold["accepted_at_half"] * fold["count"] for fold in folds)
    confusion = split["at_half"]["confusion"]
    assert confusion["true_accept"] + confusion["false_accept"] == pytest.approx(accepted)
    unseen = result.report["models"][0]["unseen"]
    assert (unseen["threshold"]["plants"], unseen["threshold"]["others"]) == (28, 28)
    assert unseen["calibration"]["plants"] == 28
    assert (
        "28 plants and 28 others, for a share of others of 50.0%, as in these photos"
        in (result.report["facts"]["threshold for gap"])
    )
    few = "gap, by these photos: The threshold rests on 28 plants and 28 others, which is few"
    told = capsys.readouterr().err
    for beginning in (few, "Under 30 photos, so look at the intervals"):
        assert any(note.startswith(beginning) for note in result.report["notes"])
        assert beginning in told
    assert "| mean of 2 sources | plants kept |" in (result.folder / "table.md").read_text()
    assert not list(result.folder.rglob("phase*.npz"))


def test_sources_that_are_left_out_together_have_their_own_figures() -> None:
    """At 0.5 the one has fewer errors, at the threshold the other."""
    photos = tuple(make_photo(f"{n}", 1, "ab"[n >= 10]) for n in range(20))
    said = Scored(photos, np.array([0.6] * 10 + [0.9] * 8 + [0.1] * 2, np.float32))
    told = folds_told({"gap": [Fold(said, said, 0.7)]})
    assert [
        (one["source"], one["accepted_at_half"], one["accepted_at_threshold"]) for one in told
    ] == [("b", 0.8, 0.8), ("a", 1.0, 0.0)]


@pytest.mark.parametrize(("head", "file"), [("gap", "said.npz"), ("v3", "scores.npz")])
def test_a_fold_is_the_training_that_leaves_it_out_and_an_interrupted_run_goes_on(
    options: TrainOptions, head: str, file: str
) -> None:
    fit = replace(options.fit, penalty=0.1 if head == "gap" else None, epochs=2)
    options = replace(options, heads=(head,), fit=fit)
    first = leave_sources_out(replace(options, name=f"folds-{head}"))
    without_a = replace(options.dataset, leave_out=("a",))
    alone = train_heads(replace(options, dataset=without_a, name=f"without-a-{head}"))
    (fold,) = first.folder.glob(f"a-*/{head}/{file}")
    with np.load(fold) as found, np.load(alone.folder / head / "scores.npz") as expected:
        said = found["left out"] if head == "v3" else found["probabilities"][0]
        np.testing.assert_allclose(said[:14], expected["left out"], rtol=1e-6)
    (model,) = alone.report["models"]
    assert model["splits"]["left out"]["at_half"]["count"] == 14
    of_a = json.loads((first.folder / "report.json").read_text())["folds"]
    assert of_a[0]["source"] == "a"
    assert of_a[0]["threshold"] == pytest.approx(model["threshold"], abs=1e-6)
    assert alone.tags == {}

    shutil.rmtree(fold.parent)
    kept = {path: path.stat().st_mtime_ns for path in first.folder.glob(f"*/{head}/{file}")}
    again = leave_sources_out(replace(options, name=f"folds-{head}"))
    assert again.rows == first.rows
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_the_features_are_computed_once(options: TrainOptions, data: Data) -> None:
    count = len(load_dataset(data.photos, options.dataset, options.cache).photos)
    leave_sources_out(replace(options, name="once"))
    blocks = list(options.cache.glob("mobilenet-*/maps/*.npy"))
    assert sum(len(np.load(block, mmap_mode="r")) for block in blocks) == count


def test_a_class_with_one_source_cannot_be_left_out(
    options: TrainOptions, data: Data, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(data.photos, photos)
    shutil.rmtree(photos / "other" / "d")
    result = leave_sources_out(replace(options, data=photos, name="one"))
    assert [row[0] for row in result.rows] == ["a", "b", "mean of 2 sources"]
    assert any(note.startswith("c cannot be left out") for note in result.report["notes"])


def test_plain_folders_name_no_source(data: Data, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name, source in (("plant", "a"), ("other", "c")):
        shutil.copytree(data.photos / name / source, photos / name)
    places = ["--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    command = ["leave-one-out", str(photos), "--backbone", "mobilenet", "--min-per-class", "5"]
    ran = CliRunner().invoke(main, [*command, "--weights", str(data.weights), *places])
    assert ran.exit_code == 1
    last = ran.output.splitlines()[-1]
    assert last.startswith("Error: No source can be left out: the photos name none")
    assert "as in plant/my_phone/ and other/kitchen_floor/, at least two of each class" in last
    assert not list((tmp_path / "cache").glob("mobilenet*"))


def test_a_source_of_each_class_leaves_nothing_to_compare(data: Data, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name, source in (("plant", "a"), ("other", "c")):
        shutil.copytree(data.photos / name / source, photos / name / source)
    places = ["--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    command = ["leave-one-out", str(photos), "--backbone", "mobilenet", "--min-per-class", "5"]
    ran = CliRunner().invoke(main, [*command, "--weights", str(data.weights), *places])
    assert ran.exit_code == 1
    last = ran.output.splitlines()[-1]
    assert last.startswith("Error: Without any one of the 2 sources, too few photos")
    assert "a cannot be left out" in last
    assert "Name more sources of each class" in last
    assert "Sources never seen" not in ran.output
    assert not list((tmp_path / "cache").glob("mobilenet*"))  # told before the work
