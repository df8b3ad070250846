"""The HTML report: one file without outside resources, light enough to be mailed."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from PIL import Image

from plantood.errors import UnreadablePhoto
from plantood.photo.images import load_image
from plantood.training.common.tables import (
    MISSING,
    Row,
    calibration_table,
    figures_table,
    source_table,
    summary_markdown,
)
from plantood.training.files.atomic import write_json, write_text
from plantood.training.judging.evaluation import Evaluation, Scored, interval_notes, most_wrong
from plantood.training.photos.data import CLASS_NAMES
from plantood.training.report import charts
from plantood.training.report.likeness import Like, spoken

THUMBNAIL = 112
"""Longest side of the photos in the report, in pixels."""
MOST_WRONG = 24


def write_report(
    folder: Path,
    title: str,
    evaluations: Sequence[Evaluation],
    *,
    facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    extra: dict[str, Any] | None = None,
    like: Like | None = None,
    template: str = "report.html.j2",
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ``report.html``, ``report.json`` and ``table.md`` into a folder.

    Args:
        folder: exists already.
        title: headline.
        evaluations: the models, the one to look at first in front.
        facts: what was done, as name and value, shown at the top.
        notes: sentences that the reader must know, such as files left out.
        extra: more for ``report.json``.
        like: tells what the photos that are shown are like, if that can be told.
        template: of the page, below this module's folder; one that extends ``report.html.j2``.
        context: what that template needs beyond what this function gives it.

    Returns:
        What stands in ``report.json``.
    """
    figures = [evaluation.figures() for evaluation in evaluations]
    if figures:
        notes = [*notes, *interval_notes(figures[0])]
    content = {"title": title, "facts": dict(facts), "notes": list(notes), "models": figures}
    content |= extra or {}
    write_json(folder / "report.json", content)
    text = summary_markdown(figures)
    write_text(folder / "table.md", text)
    page = _environment().get_template(template)
    html = page.render(
        title=title,
        facts=facts,
        notes=notes,
        main=figures_table(figures),
        calibration=calibration_table(figures),
        source_tables=[(split, source_table(figures, split)) for split in _splits(evaluations)],
        curves=[picture for evaluation in evaluations for picture in _curves(evaluation)],
        splits=[_split_section(split, evaluations, like) for split in _splits(evaluations)],
        **(context or {}),
    )
    write_text(folder / "report.html", html)
    return content


def _splits(evaluations: Sequence[Evaluation]) -> list[str]:
    names = dict.fromkeys(name for one in evaluations for name in one.splits)
    return [name for name in names if any(_photos(one, name) for one in evaluations)]


def _photos(evaluation: Evaluation, split: str) -> int:
    return len(evaluation.splits[split].photos) if split in evaluation.splits else 0


def _curves(evaluation: Evaluation) -> list[Markup]:
    """Learning curves of one model, one chart for each phase."""
    return [
        Markup(charts.learning_curves(f"{evaluation.name}, {phase}", rows))
        for phase, rows in evaluation.history.items()
        if rows
    ]


def _split_section(
    split: str, evaluations: Sequence[Evaluation], like: Like | None
) -> dict[str, Any]:
    """Charts and photos of one split: all models in the curves, the first one in the rest."""
    present = [one for one in evaluations if _photos(one, split)]
    colours = {
        one.name: charts.COLOURS[number % len(charts.COLOURS)]
        for number, one in enumerate(evaluations)
    }
    first = present[0]
    pictures = []
    if len(set(first.splits[split].labels.tolist())) == 2:
        pictures.append(charts.roc(f"ROC, {split}", split, colours, present))
        pictures.append(
            charts.reliability_diagram(f"Reliability, {split}", split, colours, present)
        )
    pictures += [
        charts.score_histogram(f"Scores of {one.name}, {split}", split, one) for one in present
    ]
    bars = charts.source_errors(
        f"{first.name}, {split}: false retakes (green), false accepts (brown)",
        first.figures()["splits"][split]["by_source"],
    )
    return {
        "name": split,
        "pictures": [Markup(picture) for picture in pictures],
        "bars": Markup(bars),
        "wrong_of": first.name,
        "threshold": f"{first.threshold:.3f}",
        "wrong": _wrong_photos(first.splits[split], first.threshold, like),
    }


def _wrong_photos(scored: Scored, threshold: float, like: Like | None) -> list[dict[str, str]]:
    wrong = []
    for index in most_wrong(scored, MOST_WRONG, threshold):
        photo, probability = scored.photos[index], float(scored.probabilities[index])
        if thumbnail := thumbnail_uri(photo.path):
            wrong.append(
                {
                    "uri": Markup(thumbnail),
                    "text": f"{CLASS_NAMES[photo.label]}, P(plant) {probability:.3f}",
                    "verdict": "accept" if probability >= threshold else "retake",
                    "source": photo.source,
                    "file": photo.path.name,
                    "like": spoken(like(photo)) if like else "",
                }
            )
    return wrong


def thumbnail_uri(path: Path) -> str | None:
    """A small JPEG of the photo as a ``data:`` URI; None if it cannot be read any more."""
    try:
        image = Image.fromarray(load_image(path).pixels)
    except UnreadablePhoto:
        return None
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, Path(__file__).parents[1]]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["numeric"] = _is_numeric
    return environment


def _is_numeric(row: Row, column: int) -> bool:
    """Whether the cell stands at the right."""
    return column > 1 and bool(row[column]) and (row[column] == MISSING or row[column][0].isdigit())
