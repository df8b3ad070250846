"""``train --recipe composites`` as a user runs it: on drawn photos, killed on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.model.parts.memory import DRAWN
from plantood.model.store import load_gate
from tests.training.killed import kill_when
from tests.training.recipe.pictures import SOIL, TABLE, ellipse, leaf_photo, save, textured

ROLES = ("--role", "leaves=scans", "--role", "plants=field", "--role", "ground=soil,rock")
RECIPE = ("--recipe", "composites", *ROLES, "--role", "other=cloth")
PER_SOURCE = 16


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Leaves on a table, leaves on soil, and three sources without any plant."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for n in range(PER_SOURCE):
        for source, ground in (("scans", TABLE), ("field", SOIL)):
            mask = ellipse(112, long=rng.uniform(0.3, 0.45), angle=rng.uniform(0, 3))
            tint = np.array(ground) + rng.integers(-30, 30, 3)
            save(folder / "plant", source, str(n), leaf_photo(mask, tint))
        for k, (source, colour) in enumerate(
            (("soil", SOIL), ("rock", (120, 120, 125)), ("cloth", (170, 60, 160)))
        ):
            save(folder / "other", source, str(n), textured(112, colour, seed=100 * k + n))
    return folder


def command(name: str, photos: Path, folder: Path, *more: str) -> list[str]:
    places = ("--runs", str(folder / "runs"), "--cache", str(folder / "cache"), "--name", "run")
    starter = ("--backbone", "efficientnet_lite0", "--weights", "starter", "--min-per-class", "5")
    return [name, str(photos), *starter, "--made", "1.5", *places, *more]


def probe(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "runs" / "run" / "gap_l2" / "probe.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an uninterrupted training has its runs and its cache."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = command("train", photos, folder, *RECIPE, "--heads", "gap_l2,gap")
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output
    return folder


def test_the_gate_is_judged_and_saved_as_any_other(whole: Path) -> None:
    report = json.loads((whole / "runs" / "run" / "report.json").read_text())
    assert {model["name"] for model in report["models"]} == {"gap", "gap_l2"}
    for model in report["models"]:
        assert model["splits"]["test"]["at_half"]["accuracy"] > 0.9
        assert model["recipe"]["roles"] == {
            "leaves": ["scans"],
            "plants": ["field"],
            "ground": ["rock", "soil"],
            "other": ["cloth"],
        }
        assert model["settings"]["penalty"] == 0.3
        assert not model["tuned"]
    assert "leaves scans; plants field; ground rock, soil" in report["facts"]["recipe"]

    gate = load_gate("plantood-gate:latest")
    assert gate.manifest.head == report["best"]
    memory = gate.memory()
    assert memory is not None
    drawn = {kind + DRAWN for kind in ("planted", "seam", "bare", "ground")}
    assert {*drawn, "scans", "soil"} <= set(memory.sources)


def test_killed_while_it_draws_it_goes_on_to_the_same_gate(
    whole: Path, photos: Path, tmp_path: Path
) -> None:
    arguments = command("train", photos, tmp_path, *RECIPE, "--save", "none")
    again = [sys.executable, "-m", "plantood", *arguments]
    kill_when(lambda: list((tmp_path / "cache").glob("composites-*/embeddings.npy")), again)
    assert not list(tmp_path.rglob("probe.npz"))
    subprocess.run(again, check=True, capture_output=True, timeout=600)
    for name, value in probe(whole).items():
        np.testing.assert_array_equal(probe(tmp_path)[name], value, err_msg=name)


def test_leaving_each_source_out(whole: Path, photos: Path, tmp_path: Path) -> None:
    arguments = command("leave-one-out", photos, tmp_path, *RECIPE, "--cache", str(whole / "cache"))
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output
    report = json.loads((tmp_path / "runs" / "run" / "report.json").read_text())
    assert [(fold["source"], fold["head"]) for fold in report["folds"]] == [
        (source, head)
        for source in ("cloth", "field", "rock", "scans", "soil")
        for head in ("gap_l2", "gap_l2, no recipe")
    ]
    assert len(list((whole / "cache").glob("composites-*"))) == 1  # one bank for all
    with_it, without = (split_of(model) for model in report["models"])
    assert with_it["count"] == without["count"] == 5 * PER_SOURCE
    assert with_it["loss"] != without["loss"]


def split_of(model: dict[str, Any]) -> dict[str, Any]:
    return model["splits"]["sources never seen"]["at_half"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--role", "leaves=scans"), "--role goes with --recipe only"),
        (("--confidence", "0.9"), "--confidence goes with --max-false-accept only"),
        (("--recipe", "composites"), "nothing to cut out"),
        (("--recipe", "composites", "--role", "plants=field"), "nothing to paste a leaf on"),
        (("--recipe", "composites", "--role", "leaf=scans"), "there is no role 'leaf'"),
        (("--recipe", "composites", "--role", "leaves"), "write --role NAME=SOURCE[,SOURCE]"),
        (("--recipe", "composites", "--role", "leaves=farm"), "no source is called farm"),
        (("--recipe", "composites", "--role", "leaves=soil"), "give it the role ground or other"),
        ((*RECIPE, "--role", "leaves=field"), "has two roles, plants and leaves"),
        ((*RECIPE, "--heads", "gap,v3"), "fits linear heads only (gap, gap_l2), not v3"),
        ((*RECIPE, "--epochs", "3"), "--epochs: no part in --recipe composites"),
        ((*RECIPE, "--fine-tune-epochs", "2"), "--fine-tune-epochs: no part"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: tuple[str, ...], said: str, photos: Path, tmp_path: Path
) -> None:
    plain = [part for part in command("train", photos, tmp_path) if part not in ("--made", "1.5")]
    ran = CliRunner().invoke(main, [*plain, *arguments])
    assert ran.exit_code == 1
    assert ran.output.startswith("Error: ")
    assert len(ran.output.splitlines()) == 1, ran.output
    assert said in ran.output
    assert not (tmp_path / "runs").exists()
