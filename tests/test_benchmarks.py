"""`make bench` on a clean clone: what cannot be measured there is left out, the rest follows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from benchmarks import leaving_out, quality_cues, review_page
from benchmarks.areas import mean_area
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round
from tests.training.review.rounds import INFO, numbered_log


@pytest.mark.parametrize(
    ("command", "missing"),
    [(quality_cues.main, "PLANTOOD_SHARED"), (review_page.main, "chromium")],
    ids=["without the photos", "without a browser"],
)
def test_what_cannot_be_measured_is_left_out_in_one_sentence(
    command: click.Command, missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLANTOOD_SHARED", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    before = quality_cues.DOCUMENT.read_bytes()
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0, done.output
    (sentence,) = done.output.splitlines()
    assert sentence.startswith("Left out, since")
    assert missing in sentence
    assert quality_cues.DOCUMENT.read_bytes() == before


def test_the_funnel_counts_no_label_of_the_random_audit(tmp_path: Path) -> None:
    from benchmarks.flywheel.rounds import funnel  # with TensorFlow

    round_ = numbered_log(tmp_path, [0.1] * 5).round
    drawn = [("at_most",), ("at_most", "audit"), ("audit",), ("audit",), ("at_most",)]
    photos = [
        replace(photo, selected_by=selected_by)
        for photo, selected_by in zip(round_.mined(), drawn, strict=True)
    ]
    round_.write_mined(photos)
    Round.create(tmp_path, INFO.model_copy(update={"counts": {"sampled": 9, "at_most": 3}}))
    labels = ("other", "plant", "plant", "other", "unsure")
    round_.append_decisions(
        Decision(reviewer="ann", id=photo.id, label=label)
        for photo, label in zip(photos, labels, strict=True)
    )
    ours = [line.strip("| ").split(" | ")[-1] for line in funnel(tmp_path).splitlines()[2:]]
    assert ours == ["9", "3", "1", "1", "1"]


def test_areas_stand_with_the_interval_of_their_sources() -> None:
    areas = [0.9, 0.95, 1.0, 0.98, 0.97]
    found = re.fullmatch(r"0\.960 \((0\.\d{3}) to (0\.\d{3})\)", mean_area(areas))
    assert found
    assert 0.9 < float(found[1]) < 0.95 < 0.97 < float(found[2]) < 1
    assert mean_area([0.5] * 9) == "0.500"
    assert mean_area([-0.25, 0.0], "{:+.3f}") == "-0.125"  # two say nothing of a third


def test_what_was_left_out_is_counted_from_the_report() -> None:
    folds = [
        {"source": source, "head": "gap", "label": 1, "count": count}
        for source, count in (("meadow", 1200), ("kitchen", 34))
    ]
    text = leaving_out.table({"folds": folds}, [["on cached features", "12 s"]])
    assert "1,234 photos of 2 sources, head gap." in text
    assert "--together apple_plantvillage,maize_plantvillage`" in text
    assert text.endswith("| on cached features | 12 s |\n")
