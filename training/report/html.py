"""The HTML report: one file without outside resources, light enough to be mailed."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from plantood.errors import UnreadablePhoto
from plantood.photo.images import load_image
from plantood.training.common.tables import (
    MISSING,
    Row,
    figures_table,
    source_table,
    summary_markdown,
)
from plantood.training.files.atomic import write_json, write_text
from plantood.training.judging.evaluation import Evaluation, Scored, most_wrong
from plantood.training.judging.metrics import reliability, roc_curve
from plantood.training.photos.data import CLASS_NAMES
from plantood.training.report import charts

THUMBNAIL = 112
"""Longest side of the photos in the report, in pixels."""
MOST_WRONG = 24
PLANT, OTHER = charts.COLOURS[0], charts.COLOURS[1]


def write_report(
    folder: Path,
    title: str,
    evaluations: Sequence[Evaluation],
    *,
    facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    extra: dict[str, Any] | None = None,
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
        template: of the page, below this module's folder; one that extends ``report.html.j2``.
        context: what that template needs beyond what this function gives it.

    Returns:
        What stands in ``report.json``.
    """
    figures = [evaluation.figures() for evaluation in evaluations]
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
        source_tables=[(split, source_table(figures, split)) for split in _splits(evaluations)],
        curves=[_curves(evaluation) for evaluation in evaluations if evaluation.history],
        splits=[_split_section(split, evaluations) for split in _splits(evaluations)],
        **(context or {}),
    )
    write_text(folder / "report.html", html)
    return content


def _splits(evaluations: Sequence[Evaluation]) -> list[str]:
    names = dict.fromkeys(name for one in evaluations for name in one.splits)
    return [name for name in names if any(_photos(one, name) for one in evaluations)]


def _photos(evaluation: Evaluation, split: str) -> int:
    return len(evaluation.splits[split].photos) if split in evaluation.splits else 0


def _curves(evaluation: Evaluation) -> dict[str, Any]:
    """Learning curves of one model: loss by epoch, one chart for each phase."""
    blue, brown = charts.COLOURS[2], charts.COLOURS[1]
    pictures = [
        Markup(
            charts.line_chart(
                f"{evaluation.name}, {phase}",
                [
                    charts.Line(
                        key,
                        [(row["epoch"], row[key]) for row in rows],
                        colour,
                        dots=len(rows) < 4,
                    )
                    for key, colour in (("loss", blue), ("val_loss", brown))
                ],
                "epoch",
                "loss",
            )
        )
        for phase, rows in evaluation.history.items()
        if rows
    ]
    keys = [("training", blue), ("validation", brown)]
    return {"name": evaluation.name, "pictures": pictures, "legend": Markup(charts.legend(keys))}


def _split_section(split: str, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Charts and photos of one split: all models in the curves, the first one in the rest."""
    present = [one for one in evaluations if _photos(one, split)]
    colours = {
        one.name: charts.COLOURS[number % len(charts.COLOURS)]
        for number, one in enumerate(evaluations)
    }
    first = present[0]
    scored = first.splits[split]
    pictures = []
    if len(set(scored.labels.tolist())) == 2:
        pictures.append(_roc(split, present, colours))
        pictures.append(_reliability(split, present, colours))
    pictures += [_scores(split, one) for one in present]
    return {
        "name": split,
        "legend": Markup(charts.legend([(one.name, colours[one.name]) for one in present])),
        "classes": Markup(charts.legend([("plant", PLANT), ("other", OTHER)])),
        "pictures": [Markup(picture) for picture in pictures],
        "bars": Markup(_source_bars(split, first)),
        "wrong_of": first.name,
        "threshold": f"{first.threshold:.3f}",
        "wrong": _wrong_photos(scored, first.threshold),
    }


def _roc(split: str, evaluations: Sequence[Evaluation], colours: dict[str, str]) -> str:
    lines = []
    for one in evaluations:
        fpr, tpr, _ = roc_curve(one.splits[split].labels, one.splits[split].probabilities)
        kept = np.unique(np.linspace(0, len(fpr) - 1, 500).astype(int))  # enough for the eye
        points = list(zip(fpr[kept].tolist(), tpr[kept].tolist(), strict=True))
        lines.append(charts.Line(one.name, points, colours[one.name]))
    return charts.line_chart(
        f"ROC, {split}", lines, "others let through", "plants kept", x_range=(0, 1), y_range=(0, 1)
    )


def _reliability(split: str, evaluations: Sequence[Evaluation], colours: dict[str, str]) -> str:
    lines = [charts.Line("calibrated", [(0, 0), (1, 1)], "#999", dashed=True)]
    for one in evaluations:
        bins = reliability(one.splits[split].labels, one.splits[split].probabilities)
        points = [(b["predicted"], b["observed"]) for b in bins]
        lines.append(charts.Line(one.name, points, colours[one.name], dots=True, drawn=False))
    return charts.line_chart(
        f"Reliability, {split}",
        lines,
        "mean P(plant)",
        "share of plants",
        x_range=(0, 1),
        y_range=(0, 1),
    )


def _scores(split: str, evaluation: Evaluation) -> str:
    scored = evaluation.splits[split]
    return charts.histogram(
        f"Scores of {evaluation.name}, {split}",
        [
            ("other", scored.probabilities[scored.labels == 0].tolist(), OTHER),
            ("plant", scored.probabilities[scored.labels == 1].tolist(), PLANT),
        ],
        evaluation.threshold,
    )


def _source_bars(split: str, evaluation: Evaluation) -> str:
    rows = evaluation.figures()["splits"][split]["by_source"]
    bars = [
        (
            row["source"],
            row["rate"],
            f"{row['rate']:.1%} ({row['wrong']} of {row['count']})",
            PLANT if row["label"] == "plant" else OTHER,
        )
        for row in rows
    ]
    return charts.bar_chart(
        f"{evaluation.name}, {split}: false retakes (green), false accepts (brown)", bars
    )


def _wrong_photos(scored: Scored, threshold: float) -> list[dict[str, str]]:
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
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
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
