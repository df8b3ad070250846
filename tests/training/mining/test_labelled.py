from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from plantood.errors import TrainingDataError
from plantood.training.mining.labelled import read_labelled
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round, RoundInfo
from plantood.training.rounds.mined import MinedPhoto


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_manifest_by_path_and_by_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "b.jpg").write_bytes(b"b")
    file = tmp_path / "labels.csv"
    file.write_text("path,label\na.jpg,plant\nb.jpg,\ngone.jpg,other\ns3://x/c.jpg,other\n")
    labelled = read_labelled([str(file)])
    assert labelled.paths == {
        str(tmp_path / "a.jpg"),
        str(tmp_path / "gone.jpg"),
        "s3://x/c.jpg",
    }
    assert labelled.digests == {digest(b"a")}


@pytest.mark.parametrize("column", ["sha256", "id"])
def test_digests_that_are_written_down_are_believed(tmp_path: Path, column: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"path,{column}\ngone.jpg,{'A' * 64}\nb.jpg,17\n")
    (tmp_path / "b.jpg").write_bytes(b"b")
    assert read_labelled([str(file)]).digests == {"a" * 64, digest(b"b")}


def test_a_folder(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder(2)
    labelled = read_labelled([str(folder)])
    assert len(labelled.digests) == 8
    assert str(folder / "plant" / "farm" / "0.jpg") in labelled.paths


def test_what_was_reviewed_in_a_round(tmp_path: Path) -> None:
    round_ = Round.create(
        tmp_path / "round-1", RoundInfo(gate="g:1", gate_sha256="0" * 64, source="photos")
    )
    photos = [
        MinedPhoto(d * 64, f"/p/{d}.jpg", f"photos/{d}.jpg", 0.1, ("at_most",), *rest)
        for d, rest in zip("abc", [("retake", (), 0.5, 0.5)] * 3, strict=True)
    ]
    round_.write_mined(photos)
    round_.append_decisions([Decision(reviewer="ann", id="a" * 64, label="plant")])
    round_.append_decisions([Decision(reviewer="ann", id="b" * 64, label="unsure")])
    labelled = read_labelled([str(round_.path)])
    assert labelled.paths == {"/p/a.jpg", "/p/b.jpg"}
    assert labelled.digests == {"a" * 64, "b" * 64}


def test_what_holds_no_labels(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("file,label\n")
    with pytest.raises(TrainingDataError, match="lacks the column path"):
        read_labelled([str(tmp_path / "x.csv")])
    (tmp_path / "y.csv").write_bytes(b"path,label\n\xff\n")
    with pytest.raises(TrainingDataError, match="not a CSV file"):
        read_labelled([str(tmp_path / "y.csv")])
    with pytest.raises(TrainingDataError, match="no labelled photos at"):
        read_labelled([str(tmp_path / "gone")])
    with pytest.raises(TrainingDataError, match="has no folder plant"):
        read_labelled([str(tmp_path)])
    (tmp_path / "z.csv").write_bytes(b"path\na.jpg\nb\0.jpg\n")
    with pytest.raises(TrainingDataError, match=r"Line 3 of .*: 'b\\x00.jpg' cannot be"):
        read_labelled([str(tmp_path / "z.csv")])
