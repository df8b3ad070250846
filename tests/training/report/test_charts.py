from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from plantood.model.parts.calibration import Calibration
from plantood.training.judging.decision.calibration import FittedCalibration
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.report import charts
from tests.training.conftest import make_photo

PROBABILITIES = np.array([1.0, 1.0, 0.0, 0.3, 0.2, 0.9], np.float32)


@pytest.fixture
def model() -> Evaluation:
    """Four plants and two others."""
    photos = tuple(make_photo(str(i), int(i < 4)) for i in range(6))
    return Evaluation("gap", {"test": Scored(photos, PROBABILITIES)}, threshold=0.25)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that becomes a chart."""
    figures: list[Figure] = []
    render = charts.rendered

    def keep(figure: Figure, kind: str) -> bytes:
        figures.append(figure)
        return render(figure, kind)

    monkeypatch.setattr(charts, "rendered", keep)
    return figures


def row(source: str, label: str, wrong: int, count: int) -> dict[str, Any]:
    return {
        "source": source,
        "label": label,
        "wrong": wrong,
        "count": count,
        "rate": wrong / count,
    }


def parsed(svg: str) -> ET.Element:
    """As a page reads it: there, this prefix needs no declaration."""
    return ET.fromstring(svg.replace("xlink:", ""))


def texts(svg: str) -> list[str]:
    return ["".join(found.itertext()) for found in parsed(svg).iter("text")]


def test_a_chart_is_one_element_of_a_page(model: Evaluation) -> None:
    svg = charts.score_histogram('Scores of "<v1>"', "test", model)
    root = parsed(svg)
    assert root.tag == "svg"
    assert root.attrib["aria-label"] == 'Scores of "<v1>"'
    assert root.attrib["role"] == "img"
    assert "http" not in svg
    assert root.attrib["width"] == "360"
    assert 'Scores of "<v1>"' in texts(svg)


def test_the_ink_is_that_of_the_page(model: Evaluation) -> None:
    svg = charts.roc("ROC", "test", {"gap": charts.PLANT}, [model])
    assert "currentColor" in svg
    assert charts.INK not in svg
    black = {to_rgb(found) for found in re.findall(r"#[0-9a-f]{6}", svg)} & {(0, 0, 0), (1, 1, 1)}
    assert not black


def test_the_same_figures_give_the_same_chart(model: Evaluation) -> None:
    assert len({charts.score_histogram("t", "test", model) for _ in range(2)}) == 1


def test_what_is_referred_to_in_several_charts_is_the_same_in_all(model: Evaluation) -> None:
    two = charts.roc("ROC", "test", {"gap": charts.PLANT}, [model]) + charts.learning_curves(
        "Loss", [{"epoch": 1, "loss": 0.5, "val_loss": 0.6}]
    )
    meant: dict[str, set[str]] = {}
    for name, content in re.findall(r'<(?:path|clipPath) id="(\w+)"(.*?)/>', two, re.DOTALL):
        meant.setdefault(name, set()).add(content)
    assert meant
    assert all(len(contents) == 1 for contents in meant.values())


def test_what_was_tried_is_drawn_by_epoch_or_from_a_strong_to_a_weak_penalty(
    drawn: list[Figure],
) -> None:
    losses = [{"loss": 0.5, "val_loss": 0.6}, {"loss": 0.2, "val_loss": 0.3}]
    for name, tried in (("epoch", (1, 2)), ("penalty", (1.0, 0.01))):
        rows = [{name: one} | figures for one, figures in zip(tried, losses, strict=True)]
        charts.learning_curves("t", rows)
        (panel,) = drawn[-1].axes
        assert panel.get_xlabel() == name
        assert tuple(panel.lines[1].get_xdata()) == tried
        first, last = panel.transData.transform([(one, 0) for one in tried])[:, 0]
        assert first < last


def test_the_histogram_counts_one_in_the_last_bin(model: Evaluation, drawn: list[Figure]) -> None:
    charts.score_histogram("t", "test", model)
    (panel,) = drawn[0].axes
    plants = [bar.get_height() for bar in panel.patches[25:]]
    assert plants[-1] == 2
    assert plants[0] == plants[7] == 1
    assert sum(plants) == 4
    assert panel.lines[0].get_xdata()[0] == 0.25


def test_curves_go_through_the_figures(model: Evaluation, drawn: list[Figure]) -> None:
    charts.roc("t", "test", {"gap": charts.PLANT}, [model])
    line = drawn[0].axes[0].lines[0]
    assert line.get_xydata()[0].tolist() == [0, 0]
    assert line.get_xydata()[-1].tolist() == [1, 1]
    assert [0.0, 0.5] in line.get_xydata().tolist()
    charts.reliability_diagram("t", "test", {"gap": charts.PLANT}, [model])
    dots = drawn[1].axes[0].lines[1].get_xydata()
    assert dots[-1].tolist() == [1.0, 1.0]
    assert dots[0].tolist() == [0.0, 1.0]


def test_reliability_before_and_after(model: Evaluation, drawn: list[Figure]) -> None:
    raw = model.splits["test"]
    fitted = FittedCalibration("platt", Calibration(0.5, 0.1))
    made = replace(
        model,
        splits={"test": Scored(raw.photos, fitted.apply(raw.probabilities))},
        uncalibrated=model.splits,
        calibration=fitted,
    )
    charts.reliability_diagram("t", "test", {"gap": charts.PLANT}, [made])
    _, after, before = drawn[0].axes[0].lines
    assert (after.get_label(), before.get_label()) == ("gap", "gap, before")
    assert before.get_fillstyle() == "none"
    assert before.get_xdata()[-1] == 1
    assert after.get_xdata()[-1] < 1


def test_names_of_sources_are_shown_as_they_are() -> None:
    names = ["a_$x$", "<field>", "பயிர்", "h\udce9"]
    rows = [row(name, "plant", 1, 4) for name in names]
    shown = texts(charts.source_errors("t", rows))
    assert {"a_$x$", "<field>", "பயிர்", r"h\udce9"} <= set(shown)
    assert shown.count("1 of 4: 25.0% (4.6 to 69.9)") == 4


def test_bars_have_the_colour_of_their_class(drawn: list[Figure]) -> None:
    charts.source_errors("t", [row("a", "plant", 0, 4), row("b", "other", 2, 4)])
    bars = drawn[0].axes[0].patches
    assert [bar.get_width() for bar in bars] == [0, 0.5]
    assert [bar.get_facecolor()[:3] for bar in bars] == [
        to_rgb(charts.PLANT),
        to_rgb(charts.OTHER),
    ]
