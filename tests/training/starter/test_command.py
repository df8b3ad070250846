from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.training.common.shared import VARIABLE
from tests.training.recipe.pictures import rows_of_all_sources


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Names every source of the recipe; none of its photos is there."""
    file = tmp_path / "manifest.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["path", "label", "source", "split", "sha256"])
        for n, row in enumerate(rows_of_all_sources(5)):
            label = "plant" if row.plant else "other"
            writer.writerow([row.path, label, row.source, row.split, f"{n:064x}"])
    return file


def run(tmp_path: Path, *arguments: str | Path) -> Result:
    places = ("--out", tmp_path / "gate", "--cache", tmp_path / "cache")
    return CliRunner().invoke(main, ["starter", *map(str, (*arguments, *places))])


def says(result: Result, *parts: str) -> None:
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0]


def test_without_weights(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    says(run(tmp_path, manifest), "no shared folder", "--weights FILE", VARIABLE)
    says(
        run(tmp_path, manifest, "--weights", tmp_path / "none.weights.h5"),
        "There is no weights file",
        "none.weights.h5",
    )
    assert not (tmp_path / "gate").exists()


def test_data_of_others(tmp_path: Path) -> None:
    """Their own photos belong to ``train``."""
    weights = ("--weights", "any.weights.h5")
    own = tmp_path / "own.csv"
    own.write_text("path,label,source,split,sha256\na.jpg,plant,farm,train,00\n")
    says(run(tmp_path, own, *weights), "apple_plantvillage", "own.csv", "plantood train")
    own.write_text("path,label\na.jpg,plant\n")
    says(run(tmp_path, own, *weights), "own.csv", "source", "plantood train")
    says(run(tmp_path, tmp_path, *weights), str(tmp_path), "plantood train")
    says(run(tmp_path, tmp_path / "none.csv", *weights), "none.csv")
    assert not (tmp_path / "gate").exists()


def test_help() -> None:
    result = CliRunner().invoke(main, ["starter", "--help"])
    assert result.exit_code == 0
    assert "goes on where it was" in " ".join(result.output.split())
