from __future__ import annotations

from pathlib import Path

import pytest

from plantood.errors import SettingsError
from plantood.training.common.tables import (
    calibration_table,
    errors,
    figures_table,
    markdown,
    source_table,
    write_between_markers,
)

FIGURES = {
    "name": "v1",
    "threshold": 0.625,
    "splits": {
        "test": {
            "at_half": {
                "count": 10,
                "plants": 6,
                "others": 4,
                "loss": 0.1234,
                "accuracy": 0.9,
                "precision": 1.0,
                "recall": 5 / 6,
                "f1": 0.909,
                "auroc": None,
                "fpr_at_95_tpr": 0.25,
                "calibration_error": 0.05,
                "intervals": {"accuracy": [0.596, 0.982], "fpr_at_95_tpr": [0.046, 0.699]},
            },
            "at_threshold": {"confusion": {"false_accept": 1, "false_retake": 2}},
            "by_source": [
                {"source": "web", "error": "false accepts", "count": 4, "wrong": 1, "rate": 0.25},
                {"source": "farm", "error": "false retakes", "count": 6, "wrong": 0, "rate": 0.0},
            ],
        }
    },
}


def test_figures_table() -> None:
    header, rows = figures_table([FIGURES])
    cells = dict(zip(header, rows[0], strict=True))
    assert cells["loss"] == "0.123"
    assert cells["AUROC"] == "-"
    assert cells["FPR at 95% TPR"] == "25.0% (4.6 to 69.9)"
    assert cells["accuracy"] == "0.900 (0.596 to 0.982)"
    # Wilson's intervals, by hand.
    assert cells["false accepts"] == "1 of 4: 25.0% (4.6 to 69.9)"
    assert cells["false retakes"] == "2 of 6: 33.3% (9.7 to 70.0)"


def test_a_class_without_photos_has_no_share() -> None:
    assert errors(0, 0) == "0 of 0"


def test_calibration_table() -> None:
    calibrated = {
        "name": "gap",
        "calibration": {"method": "platt", "error": {"val": {"before": 0.1234, "after": None}}},
    }
    header, rows = calibration_table([FIGURES, calibrated])
    assert header == ["model", "method", "split", "before", "after"]
    assert rows == [["gap", "platt", "val", "0.123", "-"]]


def test_source_table_has_plants_first_and_a_column_for_each_model() -> None:
    other = {**FIGURES, "name": "gap", "splits": {}}
    header, rows = source_table([FIGURES, other])
    assert header == ["source", "error", "photos", "v1", "gap"]
    assert rows == [
        ["farm", "false retakes", "6", "0: 0.0% (0.0 to 39.0)", "-"],
        ["web", "false accepts", "4", "1: 25.0% (4.6 to 69.9)", "-"],
    ]


def test_markdown_escapes_bars() -> None:
    assert markdown(["a", "b"], [["x|y", "1"]]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"


def test_text_between_markers_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("before\n<!-- t -->\nold\n\\1 old\n<!-- /t -->\nafter\n")
    write_between_markers(document, "t", "| new \\g<1> |\n")
    expected = "before\n<!-- t -->\n| new \\g<1> |\n<!-- /t -->\nafter\n"
    assert document.read_text() == expected
    write_between_markers(document, "t", "| new \\g<1> |")
    assert document.read_text() == expected


def test_missing_markers_are_an_error(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("no marker")
    with pytest.raises(SettingsError, match="lacks the lines <!-- t -->"):
        write_between_markers(document, "t", "x")
    with pytest.raises(SettingsError, match="cannot be read"):
        write_between_markers(tmp_path / "absent.md", "t", "x")
