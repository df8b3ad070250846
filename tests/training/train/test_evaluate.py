"""Evaluation in this process, by a network that is green minus red and by a MobileNet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from plantood.cli import main
from plantood.model.saving import save_gate
from plantood.training.common.settings import DataSettings, FitSettings, TrainOptions
from plantood.training.judging.seen import DIGITS, Seen
from plantood.training.photos.dataset import load_dataset
from plantood.training.photos.division.splits import split_of
from plantood.training.train.evaluate import CHOSEN_ON, TRAINED_ON, evaluate_gate, photos_by_split
from plantood.training.train.train import train_heads
from tests.service.tiny_gate import build
from tests.training.conftest import Data, write_photo


def photos_called_what_they_are_not(folder: Path) -> Path:
    """Three photos of each class, of which one of each lies in the other's folder."""
    for label, called in ((1, "plant"), (0, "other")):
        for number in range(3):
            write_photo(folder / called / "farm" / f"{number}.jpg", label ^ (number == 0), number)
    return folder


def test_misjudged_photos_come_with_what_the_gate_takes_them_for(gate: str, tmp_path: Path) -> None:
    data = photos_called_what_they_are_not(tmp_path / "photos")
    out = tmp_path / "out"
    evaluate_gate(gate, data, out=out, cache=tmp_path / "cache")
    page = (out / "report.html").read_text()
    assert page.count("<figure>") == 2
    likened = re.findall(r"like: (plant field|other bricks) \d\.\d\d, (?:plant|other) ", page)
    assert len(likened) == 2
    assert "plant field" in likened


def test_a_gate_without_a_memory_is_evaluated_too(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    build(tmp_path / "gate")
    tag = str(save_gate(tmp_path / "gate", name="evaluated"))
    data = photos_called_what_they_are_not(tmp_path / "photos")
    evaluate_gate(tag, data, out=tmp_path / "out", cache=tmp_path / "cache")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<figure>" in page
    assert "like:" not in page


def test_no_report_is_written_over_one_of_other_choices(gate: str, tmp_path: Path) -> None:
    tag = gate.partition(":")[0]
    for name in ("first", "second"):
        photos_called_what_they_are_not(tmp_path / name / "photos")
    for data, *choices in (
        ("first",),
        ("second",),
        ("first", "--split", "all"),
        ("first", "--threshold", "0.5"),
        ("first",),
    ):
        arguments = ["evaluate", tag, str(tmp_path / data / "photos"), *choices]
        arguments += ["--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
        ran = CliRunner().invoke(main, arguments)
        assert ran.exit_code == 0, ran.output
    reports = list((tmp_path / "runs").glob("evaluate-*/report.html"))
    assert len(reports) == 4
    pages = [report.read_text() for report in reports]
    assert sum(f"on {tmp_path}/second/photos</h1>" in page for page in pages) == 1
    assert all(
        report.parent.name.startswith("evaluate-" + gate.replace(":", "-")) for report in reports
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain ``plant/`` and ``other/``, each photo there twice with other bytes, some misplaced."""
    place = tmp_path_factory.mktemp("plain") / "photos"
    for label, name in ((1, "plant"), (0, "other")):
        for number in range(30):
            path = place / name / f"{number}.jpg"
            write_photo(path, label ^ (number % 4 == 0), number)
            Image.open(path).save(path.with_stem(f"{number}-again"), quality=60)
    return place


@pytest.fixture(scope="module")
def trained(folder: Path, data: Data) -> tuple[str, dict[str, Any]]:
    """Tag of a gate that was trained on them, and what training reported of it."""
    options = TrainOptions(
        folder,
        backbone="mobilenet",
        weights=str(data.weights),
        heads=("gap",),
        dataset=DataSettings(min_per_class=5),
        fit=FitSettings(penalty=0.1, fine_tune_epochs=0),
        runs=folder.parent / "runs",
        cache=folder.parent / "cache",
        gate_name="evaluated-on-its-folder",
    )
    result = train_heads(options)
    return result.tags["gap"], result.report["models"][0]


def test_a_folder_is_divided_as_for_training(folder: Path, tmp_path: Path) -> None:
    dataset = load_dataset(folder, DataSettings(min_per_class=5), tmp_path / "cache")
    assert any(split_of(photo.sha256) != "test" for photo in dataset.test)  # some follow others
    for name, photos in dataset.splits().items():
        assert photos_by_split(folder, tmp_path / "cache", name)[0] == {name: photos}
    every, _, _ = photos_by_split(folder, tmp_path / "cache")
    assert {name: len(photos) for name, photos in every.items()} == {"all": 120}
    assert photos_by_split(folder, tmp_path / "cache", "all")[0] == every


def test_what_a_manifest_names_stands_and_the_rest_is_divided(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [
        {"path": f"{name}{n}.jpg", "label": name, "split": split}
        for name in ("plant", "other")
        for n, split in enumerate(["train", "val", "test", *[""] * 30])
    ]
    data = manifest(rows, "path,label,split")
    dataset = load_dataset(data, DataSettings(min_per_class=2), tmp_path / "cache")
    found, _, _ = photos_by_split(data, tmp_path / "cache", "test")
    assert found == {"test": dataset.test}
    assert {"plant2.jpg", "other2.jpg"} < {photo.path.name for photo in dataset.test}
    without, _, _ = photos_by_split(data, tmp_path / "cache")
    assert {name: len(photos) for name, photos in without.items()} == {
        "train": 2,
        "val": 2,
        "test": 2,
        "all": 60,
    }


def test_what_shows_the_same_as_a_training_photo_stands_with_it(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [
        {"path": f"{n}.jpg", "label": "plant", "split": split}
        for n, split in enumerate(["train", "test", "test"])
    ]
    data = manifest(rows, "path,label,split")
    Image.open(data.parent / "0.jpg").save(data.parent / "1.jpg", quality=60)
    every, _, _ = photos_by_split(data, tmp_path / "cache")
    (learned,) = every["train"]
    known = Seen(frozenset([learned.sha256[:DIGITS]]))
    found, _, _ = photos_by_split(data, tmp_path / "cache", "test", known)
    assert {name: [one.path.name for one in photos] for name, photos in found.items()} == {
        "test": ["2.jpg"],
        TRAINED_ON: ["1.jpg"],
    }
    assert list(found)[-1] == "test"  # of the last one tables tell every source


def test_the_test_split_of_its_own_folder_is_what_training_reported(
    trained: tuple[str, dict[str, Any]], folder: Path, tmp_path: Path
) -> None:
    tag, told = trained
    out = tmp_path / "out"
    arguments = ["evaluate", tag, str(folder), "--split", "test", "--out", str(out)]
    ran = CliRunner().invoke(main, [*arguments, "--cache", str(tmp_path / "cache")])
    assert ran.exit_code == 0, ran.output
    _, alone = json.loads((out / "report.json").read_text())["models"]
    assert list(alone["splits"]) == ["test"]  # nothing of it has the gate learned from
    found, expected = alone["splits"]["test"], told["splits"]["test"]
    for at in ("at_half", "at_threshold"):
        assert found[at]["count"] == expected[at]["count"] > 10
        assert found[at]["confusion"] == expected[at]["confusion"]
        assert found[at]["loss"] == pytest.approx(expected[at]["loss"], abs=1e-3)
    confusion = expected["at_half"]["confusion"]
    assert confusion["false_accept"] + confusion["false_retake"] > 0


@pytest.mark.parametrize(("split", "called"), [("train", TRAINED_ON), ("val", CHOSEN_ON)])
def test_what_the_gate_has_learned_from_is_told_apart_in_every_split(
    split: str, called: str, trained: tuple[str, dict[str, Any]], folder: Path, tmp_path: Path
) -> None:
    places = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    report = evaluate_gate(trained[0], folder, split=split, **places)
    assert [list(model["splits"]) for model in report["models"]] == 2 * [[called]]
    assert any("no figure is honest" in note for note in report["notes"])
