"""Charts by matplotlib, and those of a report as SVG to stand inside its page.

There is nothing to load, they are sharp at any size, and their ink is the colour of the page's
text, so that they can be read in dark and light.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from plantood.training.common.intervals import share
from plantood.training.files.paths import spelled
from plantood.training.judging.evaluation import Evaluation
from plantood.training.judging.metrics import reliability, roc_curve

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # newer than matplotlib 3.9

COLOURS = ("#2a7f3f", "#b5541c", "#3763b0", "#8a4fa3", "#a08500", "#4b8f95")
"""One for each model, in order; told apart also without red and green by their lightness."""
PLANT, OTHER = COLOURS[0], COLOURS[1]
TRAINING, VALIDATION = COLOURS[2], COLOURS[1]
GRID = "#80808055"
INK = "#010203"
"""Stands for the colour of the page's text, and for nothing else."""

STYLE: dict[RcKeyType, Any] = {
    "font.size": 9,
    "svg.hashsalt": "plantood",  # the same figures give the same file
    "text.parse_math": False,  # names may hold dollars
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
INLINE: dict[RcKeyType, Any] = STYLE | {
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib's own; where a page lacks it, any other
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "lines.linewidth": 1.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
SIZE = (5.0, 3.33)
"""Of a chart, in inches: 360 by 240 pixels of the page."""


def styled(style: dict[RcKeyType, Any] = STYLE) -> AbstractContextManager[None]:
    """While figures are made: how they look."""
    return mpl.rc_context(style)


def rendered(figure: Figure, kind: str) -> bytes:
    """A picture file without a date: ``kind`` is ``svg``, ``png`` or ``pdf``."""
    buffer = io.BytesIO()
    about = dict.fromkeys(("Creator", "Date", "Format", "Type")) if kind == "svg" else None
    with styled():
        figure.savefig(buffer, format=kind, dpi=150, metadata=about)
    return buffer.getvalue()


def learning_curves(title: str, history: Sequence[Mapping[str, float]]) -> str:
    """Loss in training and validation by epoch, or by penalty from strong to weak."""
    by = "penalty" if "penalty" in history[0] else "epoch"
    with styled(INLINE):
        figure, panel = _chart(title, by, "loss")
        numbers = [row[by] for row in history]
        marker = "o" if len(history) < 4 or by == "penalty" else ""
        for key, name, colour in (
            ("loss", "training", TRAINING),
            ("val_loss", "validation", VALIDATION),
        ):
            losses = [row[key] for row in history]
            panel.plot(numbers, losses, color=colour, label=name, marker=marker, markersize=4)
        if by == "penalty":
            panel.set_xscale("log")
            panel.invert_xaxis()
        else:
            panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        panel.set_ylim(bottom=0)
        panel.legend()
        return _inline(figure, title)


def roc(title: str, split: str, colours: Mapping[str, str], models: Sequence[Evaluation]) -> str:
    """Plants kept over others let through, of each model."""
    with styled(INLINE):
        figure, panel = _chart(title, "others let through", "plants kept")
        for one in models:
            scored = one.splits[split]
            fpr, tpr, _ = roc_curve(scored.labels, scored.probabilities)
            kept = np.unique(np.linspace(0, len(fpr) - 1, 500).astype(int))  # enough for the eye
            panel.plot(fpr[kept], tpr[kept], color=colours[one.name], label=one.name)
        _unit_square(panel)
        panel.legend(loc="lower right")
        return _inline(figure, title)


def reliability_diagram(
    title: str, split: str, colours: Mapping[str, str], models: Sequence[Evaluation]
) -> str:
    """Share of plants among photos of about the same P(plant), of each model.

    Rings are what the network gave before it was calibrated, dots what is served; where nothing
    was changed there are dots only.
    """
    with styled(INLINE):
        figure, panel = _chart(title, "mean P(plant)", "share of plants")
        panel.plot([0, 1], [0, 1], color="#999999", linestyle="--", label="calibrated")
        for one in models:
            drawn = {one.name: (one.splits[split], "full")}
            if one.calibration is not None and one.calibration.served is not None:
                drawn[f"{one.name}, before"] = (one.uncalibrated[split], "none")
            for label, (scored, fill) in drawn.items():
                bins = reliability(
                    scored.labels, scored.probabilities, share_of_others=one.share_of_others
                )
                _bins(panel, bins, label, color=colours[one.name], fillstyle=fill)
        _unit_square(panel)
        panel.legend(loc="upper left")
        return _inline(figure, title)


def reliability_picture(
    title: str,
    labels: NDArray[np.bool_],
    probabilities: Mapping[str, NDArray[np.floating]],
    share_of_others: float,
) -> bytes:
    """The reliability diagram as an SVG file: rings for the first of two, dots for the second.

    Args:
        title: above it.
        labels: ``[N]``.
        probabilities: P(plant) of the same photos before and after calibration, ``[N]`` each, by
            what the legend says.
        share_of_others: that is weighed to.
    """
    with styled():
        figure, panel = _chart(title, "mean P(plant)", "share of plants")
        panel.plot([0, 1], [0, 1], color="#999999", linestyle="--", label="calibrated")
        for (label, p), fill in zip(probabilities.items(), ("none", "full"), strict=True):
            bins = reliability(labels, p, share_of_others=share_of_others)
            _bins(panel, bins, label, color=PLANT, fillstyle=fill)
        _unit_square(panel)
        panel.legend(loc="upper left")
        return rendered(figure, "svg")


def score_histogram(title: str, split: str, model: Evaluation) -> str:
    """Photos by P(plant) and class on a square-root axis, with a line at the threshold.

    The square root lets the few errors be seen beside the many right ones.
    """
    scored = model.splits[split]
    with styled(INLINE):
        figure, panel = _chart(title, "P(plant)", "photos (√ scale)")
        for label, name, colour in ((0, "other", OTHER), (1, "plant", PLANT)):
            of_class = scored.probabilities[scored.labels == label]
            panel.hist(of_class, bins=25, range=(0, 1), color=colour, alpha=0.55, label=name)
        panel.axvline(
            model.threshold, color=INK, linestyle=":", label=f"threshold {model.threshold:.3f}"
        )
        panel.set_yscale("function", functions=(np.sqrt, np.square))
        panel.set_xlim(0, 1)
        panel.legend(loc="upper center")
        return _inline(figure, title)


def source_errors(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A bar for each source and class.

    Args:
        title: above it.
        rows: of `plantood.training.judging.metrics.by_source`.
    """
    with styled(INLINE | {"axes.grid": False}):
        figure, panel = _chart(title, "share of the photos", "", (7.8, 0.8 + 0.25 * len(rows)))
        names = [spelled(row["source"]) for row in rows]
        bars = panel.barh(
            range(len(rows)),
            [row["rate"] for row in rows],
            color=[PLANT if row["label"] == "plant" else OTHER for row in rows],
        )
        notes = [
            f"{row['wrong']} of {row['count']}: {share(row['wrong'], row['count'])}" for row in rows
        ]
        panel.bar_label(bars, notes, padding=3)
        panel.set_yticks(range(len(rows)), names)
        panel.invert_yaxis()
        panel.margins(x=0.5)
        return _inline(figure, title)


def _chart(
    title: str, x_label: str, y_label: str, size: tuple[float, float] = SIZE
) -> tuple[Figure, Axes]:
    figure = Figure(size, layout="constrained")
    panel = figure.subplots()
    panel.set_title(title)
    panel.set_xlabel(x_label)
    panel.set_ylabel(y_label)
    return figure, panel


def _bins(panel: Axes, bins: Sequence[Mapping[str, float]], label: str, **look: Any) -> None:
    panel.plot(
        [filled["predicted"] for filled in bins],
        [filled["observed"] for filled in bins],
        "o",
        markersize=4,
        label=label,
        **look,
    )


def _unit_square(panel: Axes) -> None:
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)


def _inline(figure: Figure, title: str) -> str:
    """The picture as an element of a page: named, without what only a file of its own needs."""
    figure.set_facecolor("none")
    for panel in figure.axes:
        panel.set_facecolor("none")
    with warnings.catch_warnings():
        # A script that matplotlib's typeface lacks: the reader's browser has one.
        warnings.filterwarnings("ignore", r"Glyph .* missing", UserWarning)
        svg = rendered(figure, "svg").decode()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r' id="[A-Za-z_0-9.]+_\d+"', "", svg)  # the same in every picture, and unused
    svg = re.sub(r'"([\d.]+)pt"', r'"\1"', svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
