from __future__ import annotations

import csv
from pathlib import Path

import pytest

from plantood.errors import TrainingDataError
from plantood.training.recipe.samples import Row
from plantood.training.starter.photos import _doubtful, read_rows


def manifest(folder: Path, rows: list[dict[str, str]]) -> Path:
    file = folder / "manifest.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_read_rows(tmp_path: Path) -> None:
    common = {"source": "s", "sha256": "beef00"}
    file = manifest(
        tmp_path,
        [
            {"path": "a.jpg", "label": "plant", "split": "train"} | common,
            {"path": "b.jpg", "label": "other", "split": "val", "source": "t", "sha256": "dead01"},
            {"path": "c.jpg", "label": "plant", "split": "test"} | common,
            {"path": "d.jpg", "label": "", "split": "none"} | common,
        ],
    )
    assert read_rows(file) == [
        Row(tmp_path / "a.jpg", True, "s", "train"),
        Row(tmp_path / "b.jpg", False, "t", "val"),
        Row(tmp_path / "c.jpg", True, "s", "test"),
    ]
    assert [row.trusted for row in read_rows(file, ["dead"])] == [True, False, True]


def test_a_manifest_that_cannot_be_read(tmp_path: Path) -> None:
    for file, said in (
        (tmp_path / "none.csv", "none.csv"),
        (tmp_path, str(tmp_path)),
        (manifest(tmp_path, [{"path": "a.jpg", "label": "plant"}]), "sha256, source, split"),
    ):
        with pytest.raises(TrainingDataError, match="plantood train") as raised:
            read_rows(file)
        assert said in str(raised.value)


def test_every_doubtful_photo_is_one_of_the_public_ones(shared: Path) -> None:
    prefixes = _doubtful()
    assert prefixes
    doubted = [r for r in read_rows(shared / "data" / "manifest.csv", prefixes) if not r.trusted]
    assert len(doubted) == len(prefixes)
