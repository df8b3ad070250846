"""Leave-one-source-out: what a gate is worth on cameras and fields that it has not seen.

Each source is judged by a model that was trained without it. A source counts as much as any other,
whatever its size, since the next camera is one more source, not some more photos; and sources that
belong together count as one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from numpy.typing import ArrayLike

from plantood.training.common.intervals import mean, share
from plantood.training.common.tables import Row
from plantood.training.judging.metrics import by_source
from plantood.training.photos.division.units import LEAST, Together, units_of

FIGURES = {"plant": "plants kept", "other": "false accepts"}
"""What the share of photos accepted is called, by class."""


@dataclass(frozen=True)
class Accepted:
    """How many photos of one class of one source are accepted."""

    source: str
    label: str
    """``plant`` or ``other``."""
    count: int
    """Photos of it."""
    share: float
    """Of them accepted, 0..1: 1 is best for plants, 0 for others."""


def accepted_shares(
    labels: ArrayLike, probabilities: ArrayLike, sources: Sequence[str], threshold: float
) -> list[Accepted]:
    """Every source and class of some photos, by models that have not seen their source.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant), ``[N]``, 0..1; accepted from ``threshold`` up.
        sources: of each photo, ``[N]``.
        threshold: 0..1.
    """
    return [
        Accepted(
            row["source"],
            row["label"],
            row["count"],
            (row["count"] - row["wrong"] if row["label"] == "plant" else row["wrong"])
            / row["count"],
        )
        for row in by_source(labels, probabilities, sources, threshold)
    ]


def unseen_table(
    columns: Mapping[str, Sequence[Accepted]], together: Together = ()
) -> tuple[Row, list[Row]]:
    """Plants kept and false accepts of each source, with the means over the sources.

    Beside each share stands its interval, of 95 %: Wilson's for a source, the bootstrap's over
    sources for a mean. Sources of hardly any photos have no say in that.

    Args:
        columns: by their titles; all of the same sources.
        together: sources that count as one in the means.
    """
    rows: list[Row] = []
    first = next(iter(columns.values()))
    for label, figure in FIGURES.items():
        by_name = [
            {one.source: one for one in shares if one.label == label} for shares in columns.values()
        ]
        counts = {one.source: one.count for one in first if one.label == label}
        rows += [
            [source, figure, str(counts[source]), *(_told(one[source]) for one in by_name)]
            for source in sorted(counts)
        ]
        if counts:
            units = [by_unit(shares.values(), together) for shares in by_name]
            means = [mean(list(map(fmean, of_units))) for of_units in units]
            rows.append([_mean_of(units[0]), figure, "", *means])
    return ["source left out", "figure", "photos", *columns], rows


def by_unit(shares: Collection[Accepted], together: Together) -> list[list[float]]:
    """Shares of the sources of one class, those that count as one together.

    Sources of hardly any photos are left out, unless there are no others.
    """
    share_of = {one.source: one.share for one in shares if one.count >= LEAST} or {
        one.source: one.share for one in shares
    }
    return [
        [share_of[name] for name in sorted(unit & share_of.keys())]
        for unit in units_of(share_of, together)
    ]


def _mean_of(units: Sequence[Sequence[float]]) -> str:
    sources = sum(map(len, units))
    of_units = "" if len(units) == sources else f" in {len(units)} units"
    return f"mean of {sources} sources{of_units}"


def _told(one: Accepted) -> str:
    return share(round(one.share * one.count), one.count)
