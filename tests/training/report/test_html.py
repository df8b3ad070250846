from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from plantood.model.parts.neighbours import Neighbour
from plantood.training.common.output import print_results
from plantood.training.common.settings import DataSettings
from plantood.training.common.tables import AT, console_table
from plantood.training.judging.evaluation import Evaluation, Scored, most_wrong
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Dataset, load_dataset
from plantood.training.report.html import thumbnail_uri, write_report
from tests.training.conftest import make_photo, write_photo


@pytest.fixture
def evaluation(photo_folder: Callable[..., Path], tmp_path: Path) -> Evaluation:
    dataset: Dataset = load_dataset(
        photo_folder(20), DataSettings(min_per_class=2), tmp_path / "cache"
    )
    rng = np.random.default_rng(0)

    def scored(photos: tuple) -> Scored:
        labels = np.array([photo.label for photo in photos])
        return Scored(photos, np.clip(rng.normal(0.3 + 0.4 * labels, 0.3), 0, 1))

    history = [{"epoch": i, "loss": 1 / i, "val_loss": 1.1 / i} for i in (1, 2, 3, 4)]
    return Evaluation(
        "<v1>",
        {"val": scored(dataset.val), "test": scored(dataset.test)},
        threshold=0.6,
        history={"frozen backbone": history},
    )


class Resources(HTMLParser):
    """Collects everything that a page would load, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [
            v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "data", "srcset")
        ]
        if tag in ("script", "link", "iframe"):
            self.loaded.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_self_contained_and_complete(evaluation: Evaluation, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    content = write_report(out, "A <title>", [evaluation], facts=[("data", "x")], notes=["Mind!"])
    html = (out / "report.html").read_text()
    page = Resources()
    page.feed(html)
    assert page.open == []
    assert page.loaded
    assert all(uri.startswith(("data:image/jpeg;base64,", "#")) for uri in page.loaded)
    assert not re.search(r"@import|url\((?!#)|http", html)
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert set(re.findall(r'(?:url\(|href=")#(\w+)', html)) <= set(ids)
    for words in ("Learning curves", "ROC, test", "Reliability, test", "Scores of", "Most wrong"):
        assert words in html
    assert "A &lt;title&gt;" in html
    assert "<v1>" not in html
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(content))
    assert "| <v1> |" in (out / "table.md").read_text()
    assert len(html) < 400_000


def test_figures_stand_at_one_half_and_at_the_threshold(evaluation: Evaluation) -> None:
    figures = evaluation.figures()["splits"]["test"]
    assert figures["at_half"]["threshold"] == 0.5
    assert figures["at_threshold"]["threshold"] == 0.6
    wrong = sum(row["wrong"] for row in figures["by_source"])
    confusion = figures["at_threshold"]["confusion"]
    assert wrong == confusion["false_accept"] + confusion["false_retake"]


def test_one_class_and_an_empty_split_are_no_crash(evaluation: Evaluation, tmp_path: Path) -> None:
    scored = evaluation.splits["val"]
    plants = [i for i, photo in enumerate(scored.photos) if photo.label == 1]
    one_class = Scored(tuple(scored.photos[i] for i in plants), scored.probabilities[plants])
    empty = Scored((), np.zeros(0))
    write_report(tmp_path, "t", [Evaluation("m", {"left out": one_class, "test": empty}, 0.5)])
    html = (tmp_path / "report.html").read_text()
    assert "ROC, left out" not in html
    assert "Split: test" not in html


def test_most_wrong_are_only_wrong_ones_worst_first() -> None:
    photos = tuple(make_photo(str(i), label) for i, label in enumerate([1, 1, 0, 0]))
    assert most_wrong(Scored(photos, np.array([0.4, 0.9, 0.95, 0.2])), 5) == [2, 0]


def test_most_wrong_are_told_at_the_threshold_of_the_gate() -> None:
    photos = tuple(make_photo(str(i), label) for i, label in enumerate([1, 1, 0, 0]))
    scored = Scored(photos, np.array([0.6, 0.75, 0.6, 0.3]))
    assert most_wrong(scored, 5, threshold=0.7) == [0]
    assert most_wrong(scored, 5, threshold=0.2) == [2, 3]


def test_the_page_shows_the_photos_that_the_gate_gets_wrong(tmp_path: Path) -> None:
    photos = tuple(
        replace(make_photo(f"{i}{label}", label), path=write_photo(tmp_path / f"{i}.jpg", label, i))
        for i, label in enumerate([1, 1, 0, 0])
    )
    scored = Scored(photos, np.array([0.6, 0.9, 0.6, 0.1]))
    write_report(tmp_path, "t", [Evaluation("m", {"test": scored}, 0.7)])
    html = (tmp_path / "report.html").read_text()
    assert "Most wrong photos of m, at its threshold 0.700" in html
    assert re.findall(r'alt="(\d\.jpg)"', html) == ["0.jpg"]
    assert "like:" not in html


def test_the_page_says_what_those_photos_are_like(tmp_path: Path) -> None:
    photos = tuple(
        replace(make_photo(f"{i}", 1), path=write_photo(tmp_path / f"{i}.jpg", 1, i))
        for i in range(3)
    )
    asked: list[LabelledPhoto] = []

    def like(photo: LabelledPhoto) -> list[Neighbour]:
        asked.append(photo)
        return [Neighbour("other", "<soil>", 0.414), Neighbour("plant", "beans", 0.5)]

    scored = Scored(photos, np.array([0.6, 0.9, 0.1]))
    write_report(tmp_path, "t", [Evaluation("m", {"test": scored}, 0.7)], like=like)
    html = (tmp_path / "report.html").read_text()
    assert html.count("like: other &lt;soil&gt; 0.41, plant beans 0.50") == 2
    assert html.count("0 is alike, 2 is opposite") == 1
    assert asked == [photos[2], photos[0]]  # nobody asks of a photo that is not shown


def test_the_console_says_at_which_threshold_its_figures_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_results(console_table("t", ["a"], [["1"]], AT))
    assert "F1 at 0.5; false accepts and retakes at the threshold" in capsys.readouterr().out


def test_a_photo_that_is_gone_has_no_thumbnail(tmp_path: Path) -> None:
    assert thumbnail_uri(tmp_path / "gone.jpg") is None
