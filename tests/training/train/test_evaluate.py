"""Evaluation in this process, on a network that is a sigmoid of green minus red."""

from __future__ import annotations

import re
from pathlib import Path

from plantood.model.store import save_gate
from plantood.training.train.evaluate import evaluate
from tests.service.tiny_gate import build
from tests.training.conftest import write_photo


def photos_called_what_they_are_not(folder: Path) -> Path:
    """Three photos of each class, of which one of each lies in the other's folder."""
    for label, called in ((1, "plant"), (0, "other")):
        for number in range(3):
            write_photo(folder / called / "farm" / f"{number}.jpg", label ^ (number == 0), number)
    return folder


def test_misjudged_photos_come_with_what_the_gate_takes_them_for(gate: str, tmp_path: Path) -> None:
    data = photos_called_what_they_are_not(tmp_path / "photos")
    out = tmp_path / "out"
    evaluate(gate, data, out=out, cache=tmp_path / "cache")
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
    evaluate(tag, data, out=tmp_path / "out", cache=tmp_path / "cache")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<figure>" in page
    assert "like:" not in page
