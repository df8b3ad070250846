"""Tables in Markdown, on the console, and between markers of a document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from plantood.cli.tables import WholeWords
from plantood.errors import SettingsError
from plantood.training.common.intervals import share
from plantood.training.files.atomic import write_text
from plantood.training.files.paths import spelled

Row = Sequence[str]
MISSING = "-"

FIGURES = (
    ("loss", "loss", "{:.3f}"),
    ("accuracy", "accuracy", "{:.3f}"),
    ("precision", "precision", "{:.3f}"),
    ("recall", "recall", "{:.3f}"),
    ("F1", "f1", "{:.3f}"),
    ("AUROC", "auroc", "{:.4f}"),
    ("FPR at 95% TPR", "fpr_at_95_tpr", "{:.1%}"),
    ("calibration error", "calibration_error", "{:.3f}"),
)
"""Columns of the main table: title, key of `judging.metrics.summary`, format."""


def shown(value: float | None, pattern: str = "{:.3f}") -> str:
    """A number for a table; a dash where it is undefined."""
    return MISSING if value is None else pattern.format(value)


def figures_table(evaluations: Sequence[Mapping[str, Any]]) -> tuple[Row, list[Row]]:
    """Every model on every split, at the threshold 0.5 and with the errors at its own."""
    header = ["model", "split", "photos", *(title for title, _, _ in FIGURES)]
    header += ["threshold", "false accepts", "false retakes"]
    rows: list[Row] = []
    for figures in evaluations:
        for split, values in figures["splits"].items():
            half, chosen = values["at_half"], values["at_threshold"]["confusion"]
            rows.append(
                [figures["name"], split, str(half["count"])]
                + [
                    shown(half[key], pattern)
                    + _between(half.get("intervals", {}).get(key), pattern)
                    for _, key, pattern in FIGURES
                ]
                + [
                    shown(figures["threshold"]),
                    errors(chosen["false_accept"], half["others"]),
                    errors(chosen["false_retake"], half["plants"]),
                ]
            )
    return header, rows


def errors(wrong: int, count: int) -> str:
    """Errors among photos, with their share and its interval."""
    return f"{wrong} of {count}" + (f": {share(wrong, count)}" if count else "")


def _between(interval: Sequence[float] | None, pattern: str) -> str:
    if interval is None:
        return ""
    low, high = (pattern.format(end).removesuffix("%") for end in interval)
    return f" ({low} to {high})"


def calibration_table(evaluations: Sequence[Mapping[str, Any]]) -> tuple[Row, list[Row]]:
    """How each model was calibrated, and what it did to the calibration error of each split."""
    header = ["model", "method", "split", "before", "after"]
    rows: list[Row] = [
        [figures["name"], figures["calibration"]["method"], split]
        + [shown(error[when]) for when in ("before", "after")]
        for figures in evaluations
        if "calibration" in figures
        for split, error in figures["calibration"]["error"].items()
    ]
    return header, rows


def source_table(
    evaluations: Sequence[Mapping[str, Any]], split: str = "test"
) -> tuple[Row, list[Row]]:
    """Errors of every source at each model's threshold; a column for each model."""
    cells: dict[tuple[str, str, int], dict[str, str]] = {}
    for figures in evaluations:
        for row in figures["splits"].get(split, {}).get("by_source", []):
            key = (row["source"], row["error"], row["count"])
            cells.setdefault(key, {})[figures["name"]] = (
                f"{row['wrong']}: {share(row['wrong'], row['count'])}"
            )
    names = [figures["name"] for figures in evaluations]
    rows: list[Row] = [
        [source, error, str(count), *(by_name.get(name, MISSING) for name in names)]
        for (source, error, count), by_name in sorted(
            cells.items(), key=lambda item: (item[0][1] == "false accepts", item[0][0])
        )
    ]
    return ["source", "error", "photos", *names], rows


def markdown(header: Row, rows: Sequence[Row]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def summary_markdown(figures: Sequence[dict[str, Any]]) -> str:
    """The main table and the table by source of the last split, as Markdown."""
    parts = [markdown(*figures_table(figures))]
    splits = list(dict.fromkeys(split for one in figures for split in one["splits"]))
    for split in splits[-1:]:
        parts.append(f"By source, {split}:\n\n{markdown(*source_table(figures, split))}")
    return "\n\n".join(parts) + "\n"


AT = (
    "Accuracy, precision, recall and F1 at 0.5; false accepts and retakes at the threshold; in "
    "brackets, the 95 % interval of a share."
)
"""What stands below :func:`figures_table` where no text is around it."""


def console_table(
    title: str | None, header: Row, rows: Sequence[Row], caption: str | None = None
) -> Table:
    """The same table for a terminal; tags and other words stay whole."""
    shown_title = None if title is None else Text(spelled(title))
    table = WholeWords(
        title=shown_title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number < 2 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(spelled(str(cell))) for cell in row))
    return table


def write_between_markers(document: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` in a document.

    Raises:
        SettingsError: if the document lacks the two markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        before = document.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{document} cannot be read ({error.strerror}).") from error
    pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
    after, found = pattern.subn(lambda m: f"{m[1]}{text.strip()}\n{m[2]}", before)
    if not found:
        raise SettingsError(
            f"{document} lacks the lines {begin} and {end}; put them where the table shall stand."
        )
    write_text(document, after)
