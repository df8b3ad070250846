"""How well each detector tells apart what was left out: figures, their intervals and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.areas import mean_area
from benchmarks.ood_detectors import DETECTORS
from benchmarks.ood_folds import Fold
from benchmarks.ood_limits import same_false_accepts
from plantood.training.common.intervals import CONFIDENCE, mean, share, wilson
from plantood.training.common.tables import markdown
from plantood.training.judging.metrics import fpr_at_tpr

RESAMPLES = 1000
"""Of the photos of one source; percentiles to three decimals need no more."""
TITLES = {False: "{}", True: "logit + {}"}
"""Of a detector alone, and added to the logit."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Figures:
    """Of one detector on one source, 0..1. AUPR takes *other* as the positive class."""

    auroc: float
    aupr: float
    fpr95: float
    fpr98: float

    @classmethod
    def of(cls, labels: NDArray, familiarity: NDArray) -> Figures:
        """FPR is the share of others let through where 95 or 98 % of the plants are kept."""
        rates = [fpr_at_tpr(labels, familiarity, tpr) for tpr in (0.95, 0.98)]
        return cls(
            float(roc_auc_score(labels, familiarity)),
            float(average_precision_score(1 - labels, -familiarity)),
            *(float("nan") if rate is None else rate for rate in rates),
        )


@dataclass(frozen=True)
class OfSource:
    """One detector on one source that was left out."""

    unit: int
    """Of the sources that were left out together."""
    source: str
    plant: bool
    photos: int
    against: int
    """Known photos of the other class."""
    detector: str
    fused: bool
    """Whether the detector was added to the logit."""
    figures: Figures
    intervals: list[Interval | None]
    """Of each figure, had it been other photos of this source and of the known ones."""

    @property
    def title(self) -> str:
        """Of the detector."""
        return TITLES[self.fused].format(self.detector)


def detectors(fused: bool) -> list[str]:
    """All, or those that can be added to the logit."""
    return [name for name in DETECTORS if not (fused and name == "logit")]


def sides(fold: Fold, name: str, source: str, fused: bool) -> tuple[NDArray, NDArray]:
    """Labels (1 = plant) and familiarity of a left-out source and the known other class."""
    out, known = fold.of(name, fused)
    mine = fold.left_out.source == source
    label = fold.has_plants(source)
    against = fold.known.plant != label
    labels = np.concatenate([np.full(mine.sum(), label), fold.known.plant[against]])
    return labels.astype(int), -np.concatenate([out[mine], known[against]])


def judged(every: list[Fold]) -> list[OfSource]:
    """All detectors on all sources, plants first."""
    return sorted(_judged(every), key=lambda one: (not one.plant, one.source, one.fused))


def _judged(every: list[Fold]) -> Iterator[OfSource]:
    for unit, fold in enumerate(every):
        for source in fold.sources:
            photos = int(np.sum(fold.left_out.source == source))
            for fused in TITLES:
                for name in detectors(fused):
                    labels, familiarity = sides(fold, name, source, fused)
                    figures = Figures.of(labels, familiarity)
                    others = int(np.sum(labels == 0))
                    yield OfSource(
                        unit=unit,
                        source=source,
                        plant=fold.has_plants(source),
                        photos=photos,
                        against=len(labels) - photos,
                        detector=name,
                        fused=fused,
                        figures=figures,
                        intervals=[
                            *area_intervals(labels, familiarity),
                            wilson(round(figures.fpr95 * others), others),
                            wilson(round(figures.fpr98 * others), others),
                        ],
                    )


def area_intervals(labels: NDArray, familiarity: NDArray) -> list[Interval | None]:
    """Those of AUROC and AUPR, had it been other photos; None where all draws agree.

    By the percentile bootstrap, each class drawn on its own (Robin et al. 2011, *pROC*; of AUPR
    Boyd, Eng and Page 2013, *Area under the precision-recall curve*).
    """
    rng = np.random.default_rng(0)
    draws = np.empty((RESAMPLES, len(labels)))
    for label in (0, 1):
        mine = np.flatnonzero(labels == label)
        draws[:, mine] = rng.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), RESAMPLES)
    areas = weighted_areas(labels, familiarity, draws)
    lower, upper = np.quantile(areas, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1).tolist()
    apart = np.ptp(areas, axis=1) > 1e-9
    return [(lower[n], upper[n]) if apart[n] else None for n in range(2)]


def weighted_areas(labels: NDArray, familiarity: NDArray, weights: NDArray) -> NDArray:
    """AUROC and AUPR ``[2, W]`` by each row of weights ``[W, N]``, as scikit-learn has them."""
    order = np.argsort(familiarity, kind="stable")  # others are found from the least familiar on
    found = np.flatnonzero(np.diff(familiarity[order], append=np.inf))  # ends of equal scores
    others, plants = (
        np.pad((weights * (labels == label))[:, order].cumsum(1)[:, found], ((0, 0), (1, 0)))
        for label in (0, 1)
    )
    recall, lost = others / others[:, -1:], plants / plants[:, -1:]
    auroc = (np.diff(lost) * (recall[:, 1:] + recall[:, :-1]) / 2).sum(1)
    precision = others / np.maximum(others + plants, 1e-12)
    return np.stack([auroc, (np.diff(recall) * precision[:, 1:]).sum(1)])


def by_unit(every: list[OfSource], detector: str, *, fused: bool, plant: bool) -> NDArray:
    """The figures ``[4, U]`` of each unit that has sources of a class, the mean of these."""
    mine = [
        one for one in every if (one.detector, one.fused, one.plant) == (detector, fused, plant)
    ]
    units = sorted({one.unit for one in mine})
    return np.array(
        [
            np.mean([list(vars(one.figures).values()) for one in mine if one.unit == unit], axis=0)
            for unit in units
        ]
    ).T


def summary(folds: list[Fold], every: list[OfSource], fused: bool) -> str:
    """All detectors, means over the units of each class, with the interval of these."""
    rows = []
    for name in detectors(fused):
        cells = [TITLES[fused].format(name)]
        for plant in (False, True):
            figures = by_unit(every, name, fused=fused, plant=plant)
            cells += [*map(mean_area, figures[:2]), *map(mean, figures[2:])]
        scores = [fold.of(name, fused)[0] for fold in folds]
        cells += [mean(same_false_accepts(folds, scores, part)) for part in (0.025, 0.05)]
        rows.append(cells)
    header = ["detector"]
    for what in ("others never seen", "plants never seen"):
        header += [f"{what}: AUROC", "AUPR", "FPR at 95 %", "at 98 %"]
    return markdown([*header, "plants kept at 2.5 % false accepts", "at 5 %"], rows)


def by_source(every: list[OfSource], fused: bool) -> str:
    """FPR at 95 % TPR of all detectors on each source, with its interval."""
    rows: dict[str, list[str]] = {}
    for one in every:
        start = [one.source, "plant" if one.plant else "other", str(one.photos)]
        if one.fused == fused:
            others = one.against if one.plant else one.photos
            told = share(round(one.figures.fpr95 * others), others)
            rows.setdefault(one.source, start).append(told)
    titles = [TITLES[fused].format(name) for name in detectors(fused)]
    return markdown(["source left out", "class", "photos", *titles], list(rows.values()))


def as_csv(every: list[OfSource]) -> str:
    """All figures of all detectors on all sources, with the ends of their intervals."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = Figures.__dataclass_fields__
    ends = [column for name in names for column in (name, f"{name}_low", f"{name}_high")]
    writer.writerow(["source", "class", "photos", "against", "detector", *ends])
    for one in every:
        row = [one.source, "plant" if one.plant else "other", one.photos, one.against, one.title]
        for value, interval in zip(vars(one.figures).values(), one.intervals, strict=True):
            row += [f"{value:.4f}", *(f"{end:.4f}" for end in interval or ())]
            row += [""] * (0 if interval else 2)
        writer.writerow(row)
    return file.getvalue()
