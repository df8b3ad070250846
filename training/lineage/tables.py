"""A lineage as tables: each generation beside its parent, or all of them on the same photos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plantood.training.common.intervals import share
from plantood.training.common.tables import MISSING, Row, shown
from plantood.training.lineage.chain import Generation, Lineage

HEADER = (
    "round",
    "gate",
    "learned from",
    "split",
    "photos",
    "loss",
    "accuracy",
    "F1",
    "false accepts",
    "false retakes",
)


def lineage_table(line: Lineage) -> tuple[Row, list[Row]]:
    """Every generation on every split, its parent on the same photos in brackets.

    Behind its shares stands their 95 % interval.

    Splits grow from round to round, so figures are compared within a row, not down a column.
    """
    rows: list[Row] = []
    for generation in line.generations:
        first = True
        for split, figures in generation.figures.items():
            if split == "val":
                continue
            about = (
                [str(generation.number), generation.gate.tag, learned_from(generation)]
                if first
                else ["", "", ""]
            )
            rows.append([*about, split, *_cells(figures, generation.parent_figures.get(split))])
            first = False
        if first:
            about = [str(generation.number), generation.gate.tag, learned_from(generation)]
            rows.append([*about, *([MISSING] * 7)])
    return HEADER, rows


def learned_from(generation: Generation) -> str:
    """The collections that a generation added, with their numbers of photos."""
    return (
        ", ".join(f"{Path(record.path).name} ({record.photos})" for record in generation.added)
        or MISSING
    )


def _cells(figures: Mapping[str, Any], parent: Mapping[str, Any] | None) -> list[str]:
    half = figures["at_half"]
    before = parent["at_half"] if parent else {}
    cells = [str(half["count"])]
    for key in ("loss", "accuracy", "f1"):
        told = _with_parent(shown(half[key]), shown(before[key]) if parent else None)
        interval = half.get("intervals", {}).get(key)
        cells.append(f"{told}, {interval[0]:.3f} to {interval[1]:.3f}" if interval else told)
    for error, of in (("false_accept", "others"), ("false_retake", "plants")):
        wrong, count = figures["at_threshold"]["confusion"][error], half[of]
        of_parent = str(parent["at_threshold"]["confusion"][error]) if parent else None
        cells.append(f"{_with_parent(str(wrong), of_parent)} of {count}: {share(wrong, count)}")
    return cells


def _with_parent(value: str, of_parent: str | None) -> str:
    return value if of_parent is None or value == MISSING else f"{value} ({of_parent})"


def adapted_lines(line: Lineage) -> list[str]:
    """What the figures of a generation that was adapted are of, one sentence each."""
    return [
        f"{one.gate.tag} was judged by adapt: its figures are of the new photos, each judged "
        "without it, and of the memory, which shows what was forgotten. To judge all of them on "
        "the same photos, give some with --data."
        for one in line.generations
        if one.adapted
    ]


def other_lines(line: Lineage) -> list[str]:
    """What lies beside the line, one sentence each."""
    return [f"Beside it: {gate.tag}, made from {gate.parent}." for gate in line.others]
