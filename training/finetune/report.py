"""Parent and child side by side: the tables, and a page with the photos that changed sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from plantood.training.common.tables import Row, figures_table, markdown
from plantood.training.files.atomic import write_text
from plantood.training.finetune.compare import Comparison, Judgement
from plantood.training.judging.changes import CELLS, Change
from plantood.training.judging.evaluation import Evaluation
from plantood.training.photos.data import CLASS_NAMES
from plantood.training.report.html import thumbnail_uri, write_report
from plantood.training.report.likeness import Like, spoken

PHOTOS = 60
"""At most so many thumbnails of each kind."""
HEADER = ("source", *CELLS, "p", "worse")
"""Of the table of changes."""
P_VALUES = (
    "p is that of McNemar's exact test, of scenes, each by all of its photos; at as many false "
    "accepts or retakes, where a few photos move the threshold, that of exchanging at random the "
    "ranks that the two gates give the photos of each scene."
)
"""In words, below that table."""


def both_figures(before: Evaluation, after: Evaluation) -> tuple[Row, list[Row]]:
    """The main table, each split of the parent above that of the child; validation left out."""
    header, rows = figures_table(
        [
            replace(
                one, splits={name: s for name, s in one.splits.items() if name != "val"}
            ).figures()
            for one in (before, after)
        ]
    )
    splits = list(after.splits)
    return header, sorted(rows, key=lambda row: splits.index(row[1]))


def change_table(comparison: Comparison) -> tuple[Row, list[Row]]:
    """Every source, then all of them, at the gates' thresholds and at fixed operating points."""
    totals = [total for total in (*comparison.totals, *comparison.fixed) if total.count]
    return HEADER, [_change_row(change) for change in (*comparison.by_source, *totals)]


def _change_row(change: Change) -> Row:
    return [
        *change.cells(),
        "< 0.001" if change.p_value < 0.001 else f"{change.p_value:.3f}",
        "worse" if change.worse else "",
    ]


def seen_sentence(judgement: Judgement) -> str:
    """How many photos cannot judge the two, since one of them has learned from these."""
    left_out = ", ".join(f"{count} of {split}" for split, count in judgement.seen.items() if count)
    return (
        "Left out, since the parent, an ancestor or the child has learned from them or from "
        f"near-duplicates: {left_out or 'none'}."
    )


def promise_notes(parent: Mapping[str, Any], after: Evaluation) -> list[str]:
    """What becomes of a bound on false accepts that the parent promised; one sentence if it did.

    Args:
        parent: what it says of itself.
        after: the child.
    """
    promised = parent.get("guarantee")
    if promised is None or promised["threshold"] is None:
        return []
    chosen = after.details["chosen_threshold"]
    keeps = chosen.get("carried_over") and after.threshold == parent.get("threshold")
    return [
        f"Its parent promised that at most {100 * promised['max_false_accept']:g} % of others are "
        f"accepted, {100 * promised['confidence']:g} % sure: "
        + (
            "the child keeps the threshold, but the bound was proved for the parent alone."
            if keeps
            else "that does not hold for the child, whose threshold was chosen anew."
        )
    ]


def judgement_markdown(judgement: Judgement) -> str:
    """Both gates on all splits, and what changed by source."""
    parts = [markdown(*both_figures(judgement.before, judgement.after)), seen_sentence(judgement)]
    parts += [
        f"What changed, {comparison.split}:\n\n{markdown(*change_table(comparison))}"
        for comparison in judgement.comparisons
    ]
    return "\n\n".join([*parts, P_VALUES]) + "\n"


def write_judgement(
    folder: Path,
    title: str,
    judgement: Judgement,
    *,
    facts: Sequence[tuple[str, str]],
    notes: Sequence[str],
    like: Like | None,
) -> dict[str, Any]:
    """Write ``report.html``, ``report.json`` and ``table.md``; returns what is in the second."""
    extra = judgement.as_dict()
    for comparison in judgement.comparisons:
        extra["changes"][comparison.split] |= {
            "newly_wrong": _listed(comparison, comparison.newly_wrong),
            "newly_right": _listed(comparison, comparison.newly_right),
        }
    report = write_report(
        folder,
        title,
        [judgement.after, judgement.before],
        facts=facts,
        notes=notes,
        extra=extra,
        like=like,
        template="finetune/report.html.j2",
        context={
            "p_values": P_VALUES,
            "changes": [_section(comparison, like) for comparison in judgement.comparisons],
        },
    )
    text = judgement_markdown(judgement)
    write_text(folder / "table.md", text)
    return report


def _section(comparison: Comparison, like: Like | None) -> dict[str, Any]:
    groups = [
        ("Newly wrong", "newly-wrong", comparison.newly_wrong),
        ("Newly right", "newly-right", comparison.newly_right),
    ]
    return {
        "name": comparison.split,
        "table": change_table(comparison),
        "groups": [
            {
                "title": title,
                "id": f"{name}-{comparison.split.replace(' ', '-')}",
                "count": len(indices),
                "photos": _pictures(comparison, indices[:PHOTOS], like),
            }
            for title, name, indices in groups
        ],
    }


def _pictures(
    comparison: Comparison, indices: NDArray[np.int64], like: Like | None
) -> list[dict[str, Any]]:
    pictures = []
    for index, photo in zip(indices.tolist(), _listed(comparison, indices), strict=True):
        if uri := thumbnail_uri(Path(photo["path"])):
            pictures.append(
                {
                    "uri": Markup(uri),
                    "label": photo["label"],
                    "before": f"{photo['before']:.3f}",
                    "after": f"{photo['after']:.3f}",
                    "source": photo["source"],
                    "file": Path(photo["path"]).name,
                    "like": spoken(like(comparison.before.photos[index])) if like else "",
                }
            )
    return pictures


def _listed(comparison: Comparison, indices: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The photos, the most changed first, as plain values."""
    return [
        {
            "path": str(photo.path),
            "sha256": photo.sha256,
            "source": photo.source,
            "label": CLASS_NAMES[photo.label],
            "before": float(comparison.before.probabilities[index]),
            "after": float(comparison.after.probabilities[index]),
        }
        for index in indices.tolist()
        for photo in [comparison.before.photos[index]]
    ]
