"""The commands as a user runs them: photos to the store, killed on the way, and judged again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.model.store import load_gate
from tests.training.conftest import Data, draw

HEADS = ("gap", "v3")
OPTIONS = ["--backbone", "mobilenet", "--epochs", "40", "--patience", "40"]
OPTIONS += ["--fine-tune-epochs", "1", "--fine-tune-learning-rate", "1e-4"]
OPTIONS += ["--min-per-class", "5", "--augment", "--balance", "both", "--name", "run"]
STEPS_TO_KILL_AT = ("phase1.state.npz", "phase2.state.npz")
KILLED_HEAD = "v3"


def train_command(folder: Path, data: Data, heads: str, *more: str) -> list[str]:
    command = [sys.executable, "-m", "plantood", "train", str(data.photos), *OPTIONS, *more]
    command += ["--heads", heads, "--weights", str(data.weights)]
    return [*command, "--runs", str(folder / "runs"), "--cache", str(folder / "cache")]


@pytest.fixture(scope="module")
def trained(data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run folder and output of an uninterrupted run that saves all heads."""
    folder = tmp_path_factory.mktemp("whole")
    ran = subprocess.run(
        train_command(folder, data, ",".join(HEADS), "--save", "all"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    return folder / "runs" / "run", ran.stdout


def tags(output: str) -> dict[str, str]:
    lines = [line.split() for line in output.splitlines() if line.startswith("Saved ")]
    return {head: tag for _, head, _, tag in lines}


def test_the_run_folder_holds_the_report(trained: tuple[Path, str]) -> None:
    run, output = trained
    report = json.loads((run / "report.json").read_text())
    assert {model["name"] for model in report["models"]} == set(HEADS)
    for model in report["models"]:
        assert set(model["splits"]) == {"val", "test"}
        assert len(model["history"]["fine-tuning"]) == 1
        assert (
            model["chosen_threshold"]["confusion"]
            == (model["splits"]["val"]["at_threshold"]["confusion"])
        )
    assert "broken.jpg" in (run / "bad_files.csv").read_text()
    assert (run / "report.html").stat().st_size > 10_000
    assert not list(run.rglob("*.state.npz"))
    assert f"Best head: {report['best']}" in output
    for name in ("share of others", "threshold"):
        assert f"{name.capitalize()}: {report['facts'][name]}\n" in output
    assert "plantood check" in output
    assert "plantood serve" in output


def test_it_learned_to_tell_green_from_grey(trained: tuple[Path, str]) -> None:
    report = json.loads((trained[0] / "report.json").read_text())
    best = next(model for model in report["models"] if model["name"] == report["best"])
    assert best["splits"]["val"]["at_half"]["auroc"] > 0.9


def test_the_store_has_an_entry_for_each_head(trained: tuple[Path, str]) -> None:
    run, output = trained
    report = json.loads((run / "report.json").read_text())
    saved = tags(output)
    assert set(saved) == set(HEADS)
    for head, tag in saved.items():
        gate = load_gate(tag)
        assert (gate.manifest.backbone, gate.manifest.head) == ("mobilenet", head)
        model = next(m for m in report["models"] if m["name"] == head)
        assert gate.manifest.policy.plant_threshold == model["threshold"]
        assert gate.metrics["splits"] == model["splits"]
        (trained_on,) = gate.manifest.data
        assert (trained_on.kind, trained_on.photos) == ("photos", 56)
        for field in ("## Intended use", "## Training data", "## Metrics", "## Limits"):
            assert field in gate.card
        assert gate.memory() is not None
        batch = np.stack([draw(1, 500, size=224)])
        assert gate.scorer().score(batch).plant_probability.shape == (1,)
    best = json.loads((run / "report.json").read_text())["best"]
    assert load_gate("plantood-gate:latest").tag == saved[best]


def test_the_same_command_again_does_nothing_anew(trained: tuple[Path, str], data: Data) -> None:
    run, output = trained
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.npz")}
    ran = subprocess.run(
        train_command(run.parents[1], data, ",".join(HEADS), "--save", "all"),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert tags(ran.stdout) == tags(output)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.npz")} == before


def test_killed_twice_it_goes_on_to_the_same_result(
    trained: tuple[Path, str], data: Data, tmp_path: Path
) -> None:
    command = train_command(tmp_path, data, KILLED_HEAD, "--save", "none")
    run = tmp_path / "runs" / "run" / KILLED_HEAD
    for step in STEPS_TO_KILL_AT:
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not (run / step).exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    for file in ("scores.npz", "phase1.npz", "phase2.npz"):
        with np.load(run / file) as found, np.load(trained[0] / KILLED_HEAD / file) as expected:
            assert found.files == expected.files
            for name in expected.files:
                np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_evaluate_gives_the_figures_of_training(
    trained: tuple[Path, str], data: Data, tmp_path: Path
) -> None:
    run, output = trained
    trained_report = json.loads((run / "report.json").read_text())
    best = next(m for m in trained_report["models"] if m["name"] == trained_report["best"])
    table = tmp_path / "README.md"
    table.write_text("<!-- figures -->\n<!-- /figures -->\n")
    arguments = ["evaluate", tags(output)[best["name"]], str(data.photos)]
    arguments += ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    arguments += ["--table-into", str(table), "--table-name", "figures"]
    ran = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    whole, alone = report["models"]
    assert (whole["name"], alone["name"]) == ("gate", "network alone")
    assert "| network alone |" in table.read_text()
    assert "By source, all:" in table.read_text()  # no source is told of by what was learned
    # Photos that it has learned from are apart; the rest is the test split of training.
    assert list(alone["splits"]) == ["trained on", "chosen on", "all"]
    assert sum(split["at_half"]["count"] for split in alone["splits"].values()) == 56
    assert alone["threshold"] == best["threshold"]
    for name, split in (("all", "test"), ("chosen on", "val")):
        assert (
            alone["splits"][name]["at_threshold"]["confusion"]
            == best["splits"][split]["at_threshold"]["confusion"]
        )
    # These photos have 48 pixels a side, and the gate wants 96.
    assert {row["sent back as"] for row in report["reasons"]} == {"too_small"}
    assert all(
        split["at_threshold"]["confusion"]["true_accept"] == 0 for split in whole["splits"].values()
    )
    assert "too_small" in ran.output


def test_evaluate_names_what_is_missing(data: Data) -> None:
    ran = CliRunner().invoke(main, ["evaluate", "plantood-gate:none", str(data.photos)])
    assert ran.exit_code == 1
    assert "no gate model plantood-gate:none" in ran.output
