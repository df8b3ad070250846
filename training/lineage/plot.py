"""A lineage as a picture: the two errors from round to round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from plantood.errors import SettingsError
from plantood.training.common.intervals import wilson
from plantood.training.files.atomic import write_atomic
from plantood.training.lineage.chain import Generation
from plantood.training.report.charts import OTHER, PLANT, rendered, styled

ERRORS = {"false_accept": ("others", OTHER, -0.03), "false_retake": ("plants", PLANT, 0.03)}
"""Error, whose photos it is of, its colour, and how far aside it is drawn, so that both show."""
FORMATS = ("svg", "png", "pdf")


@dataclass(frozen=True)
class Step:
    """One generation on one split, with its parent on the same photos if that is known."""

    place: int
    figures: Mapping[str, Any]
    parent: Mapping[str, Any] | None


def recorded_steps(generations: Sequence[Generation]) -> dict[str, list[Step]]:
    """By split, what each generation says of itself and of its parent.

    A step begins where the parent stands on the photos of the child, not where the step before
    ended: splits grow from round to round.
    """
    splits = dict.fromkeys(s for g in generations for s in g.figures if s != "val")
    return {
        split: [
            Step(place, g.figures[split], g.parent_figures.get(split))
            for place, g in enumerate(generations)
            if split in g.figures
        ]
        for split in splits
    }


def measured_steps(models: Sequence[Mapping[str, Any]]) -> dict[str, list[Step]]:
    """By split, generations that were all measured on the same photos.

    Args:
        models: `plantood.training.judging.evaluation.Evaluation.figures` of each generation.
    """
    by_split = {
        split: [model["splits"][split] for model in models] for split in models[0]["splits"]
    }
    return {
        split: [
            Step(place, own, figures[place - 1] if place else None)
            for place, own in enumerate(figures)
        ]
        for split, figures in by_split.items()
    }


def plot_steps(names: Sequence[str], steps: Mapping[str, Sequence[Step]], file: Path) -> None:
    """Draw a panel for each split, with both errors in percent, and write the picture.

    Each stands on its 95 % interval, by Wilson; the parent of a generation is hollow.

    Args:
        names: of the generations, by their place.
        steps: by split.
        file: its ending says the format.

    Raises:
        SettingsError: the ending is of no format that can be drawn.
    """
    kind = file.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise SettingsError(f"{file} cannot be drawn; its name must end in .{', .'.join(FORMATS)}.")
    columns = max(1, len(steps))
    with styled():
        figure = Figure(figsize=(4.2 * columns, 3.4), layout="constrained")
        panels = figure.subplots(1, columns, squeeze=False)[0]
        for panel, (split, of_split) in zip(panels, steps.items(), strict=False):
            for error, (of, colour, _) in ERRORS.items():
                label = f"{error.replace('_', ' ')}s, of {of}"
                for step in of_split:
                    _draw(panel, step, error)
                panel.plot([], [], "o-", color=colour, label=label)
            panel.set_title(split)
            panel.set_xticks(range(len(names)), names)
            panel.set_xlim(-0.4, len(names) - 0.6)
            panel.margins(y=0.15)
            panel.set_ylim(bottom=0)
            panel.set_ylabel("%")
            panel.legend()
    write_atomic(file, lambda out: out.write(rendered(figure, kind)))


def _draw(panel: Any, step: Step, error: str) -> None:
    of, colour, aside = ERRORS[error]
    points = [(step.place, step.figures, "full")]
    if step.parent is not None:
        points.append((step.place - 1, step.parent, "none"))
    shares = []
    for place, figures, fill in points:
        share, low, high = _percent(figures, error, of)
        panel.vlines([place + aside], low, high, color=colour, alpha=0.5)
        panel.plot([place + aside], [share], "o", color=colour, fillstyle=fill)
        shares.append(share)
    panel.plot([place + aside for place, *_ in points], shares, color=colour)


def _percent(figures: Mapping[str, Any], error: str, of: str) -> tuple[float, float, float]:
    """Errors at the gate's threshold in percent, and the ends of the interval of that.

    Not numbers where there are no such photos.
    """
    photos = figures["at_half"][of]
    wrong = figures["at_threshold"]["confusion"][error]
    if not photos:
        return math.nan, math.nan, math.nan
    low, high = wilson(wrong, photos)
    return 100 * wrong / photos, 100 * low, 100 * high
