"""Which way to tell unfamiliar photos is worth switching on, on sources that a gate never saw.

    python -m benchmarks.unfamiliarity --cache FOLDER --write docs/adapt.md [--beside PYTHON]

For each source a head and every detector are fitted to the photos of all other sources, without
their test split. What was left out is then told apart from the test split of the other class:
*others* never seen from known plants, and *plants* never seen from known others. Two collections
that share a table and a camera are left out together. Each detector stands alone, and added to the
logit of the head, each in standard deviations of the known test photos.

With --beside, a Python that has pytorch-ood scores the same embeddings, and the run fails unless it
agrees.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.embedded import Embedded, embedded_photos
from benchmarks.ood_detectors import DETECTORS, NEIGHBOURS, Known
from plantood.training.common.intervals import mean, share
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.fitting.probe import fit_probe
from plantood.training.judging.metrics import fpr_at_tpr
from plantood.training.photos.division.units import units_of
from plantood.training.starter.roles import TOGETHER

BESIDE = Path(__file__).with_name("ood_beside.py")
TOLERANCE = 1e-3
"""Largest difference from pytorch-ood, in standard deviations of the scores; its ViM computes in
float32."""
LIMIT = 0.99
"""Share of the plants that are to be within a limit, those that it is chosen on."""
SCALES = "known plants", "plants of other sources left out"
"""On which a limit may be chosen."""
SERVED = "plants against others, by the memory"
"""What a gate that is served adds to its logit."""


@dataclass(frozen=True)
class Fold:
    """One unit left out, judged by what was fitted without it."""

    left_out: Embedded
    known: Embedded
    """The test split of all other sources."""
    scores: dict[str, NDArray[np.float64]]
    """By detector, of the left-out photos and then of the known ones; higher is less familiar."""

    @property
    def sources(self) -> list[str]:
        """Those left out."""
        return np.unique(self.left_out.source).tolist()

    def has_plants(self, source: str) -> bool:
        """Whether a source left out is one of plants."""
        return bool(self.left_out.plant[self.left_out.source == source][0])

    def of(self, name: str, fused: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores of the left-out photos and of the known ones, in standard deviations of these."""
        first = len(self.left_out)

        def standard(score: NDArray[np.float64]) -> NDArray[np.float64]:
            return (score - score[first:].mean()) / score[first:].std()

        score = standard(self.scores[name])
        if fused and name != "logit":
            score = score + standard(self.scores["logit"])
        return score[:first], score[first:]


def units(photos: Embedded) -> list[tuple[str, ...]]:
    """The sources, those that belong together as one."""
    return [tuple(sorted(unit)) for unit in units_of(photos.source.tolist(), TOGETHER)]


def balanced(photos: Embedded) -> NDArray[np.float64]:
    """Weights ``[N]``: both classes alike, each source by the root of its size."""
    weights = np.zeros(len(photos))
    for label in (True, False):
        mine = photos.plant == label
        for name in np.unique(photos.source[mine]):
            of_source = mine & (photos.source == name)
            weights[of_source] = of_source.sum() ** -0.5
        weights[mine] *= 0.5 / weights[mine].sum()
    return weights


def fit_known(photos: Embedded) -> Known:
    """The head of these photos, as the starter's is fitted."""
    weights = balanced(photos)
    probe = fit_probe(photos.embedding, photos.plant, weights)
    return Known(
        photos.embedding.astype(np.float64),
        photos.plant,
        photos.source,
        weights,
        probe.kernel.astype(np.float64),
        probe.bias,
    )


def folds(photos: Embedded) -> Iterator[tuple[Known, Fold]]:
    """Every unit left out once."""
    for unit in units(photos):
        out = np.isin(photos.source, unit)
        test = photos.split == "test"
        known = fit_known(photos.part(~out & ~test))
        left_out, rest = photos.part(out), photos.part(~out & test)
        points = np.concatenate([left_out.embedding, rest.embedding]).astype(np.float64)
        scores = {name: detector(known)(points) for name, detector in DETECTORS.items()}
        yield known, Fold(left_out, rest, scores)


def sides(fold: Fold, name: str, source: str, fused: bool) -> tuple[NDArray, NDArray]:
    """Labels (1 = plant) and familiarity of a left-out source and the known other class."""
    out, known = fold.of(name, fused)
    mine = fold.left_out.source == source
    label = fold.has_plants(source)
    against = fold.known.plant != label
    labels = np.concatenate([np.full(mine.sum(), label), fold.known.plant[against]])
    return labels.astype(int), -np.concatenate([out[mine], known[against]])


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


def limit_of(every: list[Fold], fold: Fold, name: str, scale: str) -> float:
    """That of one detector for one fold: `LIMIT` of the plants are within it.

    Of the known ones of the test split, or of those that the other folds left out, each source
    alike.
    """
    if scale == SCALES[0]:
        return float(np.quantile(fold.of(name, fused=False)[1][fold.known.plant], LIMIT))
    parts = [
        other.of(name, fused=False)[0][other.left_out.source == source]
        for other in every
        if other is not fold
        for source in other.sources
        if other.has_plants(source)
    ]
    weights = np.concatenate([np.full(len(part), 1 / len(part)) for part in parts])
    scores = np.concatenate(parts)
    return float(np.quantile(scores, LIMIT, weights=weights, method="inverted_cdf"))


def accepted_by_unit(
    every: list[Fold], accepted: list[NDArray[np.bool_]], *, plants: bool
) -> NDArray[np.float64]:
    """Share of a class that is accepted of each unit, the mean of its sources.

    Args:
        every: the folds.
        accepted: of what each left out.
        plants: which class.
    """
    shares = [
        [
            np.mean(mine[fold.left_out.source == source])
            for source in fold.sources
            if fold.has_plants(source) == plants
        ]
        for fold, mine in zip(every, accepted, strict=True)
    ]
    return np.array([np.mean(unit) for unit in shares if unit])


def limit_at(every: list[Fold], scores: list[NDArray], part: float) -> float:
    """The highest score up to which, on average over units, at most so many others are accepted.

    Args:
        every: the folds.
        scores: of what each left out; lower is more familiar. One limit holds for all.
        part: of the others.
    """
    others = zip(every, scores, strict=True)
    found = np.unique(np.concatenate([score[~fold.left_out.plant] for fold, score in others]))

    def accepts(limit: float) -> float:
        within = [score <= limit for score in scores]
        return float(accepted_by_unit(every, within, plants=False).mean())

    low, high = 0, len(found)  # the more is accepted the higher the limit
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if accepts(found[middle]) <= part else (low, middle)
    return float(found[low - 1]) if low else -np.inf


def same_false_accepts(every: list[Fold], scores: list[NDArray], part: float) -> NDArray:
    """Share of plants kept of each unit, where on average so many others are let through."""
    limit = limit_at(every, scores, part)
    return accepted_by_unit(every, [score <= limit for score in scores], plants=True)


def summary(every: list[Fold], fused: bool) -> str:
    """All detectors, means over the units of each class; shares with the interval of these."""
    rows = []
    for name in DETECTORS:
        if fused and name == "logit":
            continue
        cells = [f"logit + {name}" if fused else name]
        for label in (False, True):
            of_units = [
                [
                    list(vars(Figures.of(*sides(fold, name, source, fused))).values())
                    for source in fold.sources
                    if fold.has_plants(source) == label
                ]
                for fold in every
            ]
            by_figure = np.array([np.mean(unit, axis=0) for unit in of_units if unit]).T
            cells += [f"{np.mean(areas):.3f}" for areas in by_figure[:2]]
            cells += map(mean, by_figure[2:])
        scores = [fold.of(name, fused)[0] for fold in every]
        cells += [mean(same_false_accepts(every, scores, part)) for part in (0.025, 0.05)]
        rows.append(cells)
    header = ["detector"]
    for what in ("others never seen", "plants never seen"):
        header += [f"{what}: AUROC", "AUPR", "FPR at 95 %", "at 98 %"]
    return markdown([*header, "plants kept at 2.5 % false accepts", "at 5 %"], rows)


def by_source(every: list[Fold], names: list[str]) -> str:
    """AUROC and FPR at 95 % TPR of each source, alone and added to the logit."""
    rows = []
    for fold in every:
        for source in fold.sources:
            count = int(np.sum(fold.left_out.source == source))
            row = [source, "plant" if fold.has_plants(source) else "other", str(count)]
            for name in names:
                for fused in (False,) if name == "logit" else (False, True):
                    labels, familiarity = sides(fold, name, source, fused)
                    figures = Figures.of(labels, familiarity)
                    others = int(np.sum(labels == 0))
                    fpr = share(round(figures.fpr95 * others), others)
                    row.append(f"{figures.auroc:.3f} / {fpr}")
            rows.append(row)
    header = ["source left out", "class", "photos"]
    for name in names:
        header += [name] if name == "logit" else [name, f"logit + {name}"]
    return markdown(header, sorted(rows, key=lambda row: (row[1] == "other", row[0])))


def switched_on(every: list[Fold]) -> str:
    """What a limit beside the threshold of P(plant) does to sources never seen.

    Beside the logit, accepted from 0 on; and beside the logit with what the memory says, as a gate
    is served, accepted from where as many others are let through.
    """
    logits = [fold.scores["logit"][: len(fold.left_out)] for fold in every]
    served = [fold.of(SERVED, fused=True)[0] for fold in every]
    others = accepted_by_unit(every, [score <= 0 for score in logits], plants=False).mean()
    rows = []
    for what, scores, limit, scales in (
        ("logit", logits, 0.0, SCALES),
        ("logit + memory", served, limit_at(every, served, float(others)), SCALES[1:]),
    ):
        without = [score <= limit for score in scores]
        for name, scale in product(DETECTORS, scales):
            if name in ("logit", "energy"):
                continue
            both = [
                mine & (fold.of(name, fused=False)[0] <= limit_of(every, fold, name, scale))
                for fold, mine in zip(every, without, strict=True)
            ]
            columns = [
                accepted_by_unit(every, accepted, plants=plants)
                for plants in (True, False)
                for accepted in (without, both)
            ]
            columns.append(same_false_accepts(every, scores, float(columns[-1].mean())))
            rows.append([what, name, scale, *map(mean, columns)])
    header = ["beside", "limit on", "chosen on", "plants kept without", "with"]
    header += ["false accepts without", "with", "plants kept by a higher threshold instead"]
    return markdown(header, rows)


def beside(python: str, known: Known, fold: Fold) -> str:
    """Scores of pytorch-ood on the same embeddings, and how far ours are from them."""
    points = np.concatenate([fold.left_out.embedding, fold.known.embedding]).astype(np.float64)
    with tempfile.TemporaryDirectory() as temporary:
        given, out = Path(temporary, "in.npz"), Path(temporary, "out.npz")
        np.savez(given, points=points, k=NEIGHBOURS, **vars(known))
        subprocess.run([python, BESIDE, given, out], check=True)
        with np.load(out, allow_pickle=False) as file:
            theirs = {name: file[name] for name in file.files}
    versions = str(theirs.pop("versions"))
    rows, worst = [], 0.0
    source = fold.left_out.source[0]
    for name, score in theirs.items():
        # A score is as good as its order: factors that a paper leaves open are taken out.
        own = fold.scores[name]
        slope, intercept = np.polyfit(score, own, 1)
        difference = float(np.abs(own - slope * score - intercept).max() / own.std())
        worst = max(worst, difference)
        both = [
            Figures.of(*sides(Fold(fold.left_out, fold.known, {name: one}), name, source, False))
            for one in (own, score)
        ]
        aurocs = [f"{one.auroc:.4f}" for one in both]
        rows.append([name, *aurocs, f"{difference:.1e}"])
    if worst > TOLERANCE:
        raise click.ClickException(f"pytorch-ood disagrees by {worst:.1e} standard deviations")
    header = ["detector", "AUROC, ours", "AUROC, pytorch-ood", "largest difference"]
    return f"{source} left out; {versions}.\n\n{markdown(header, rows)}"


@click.command(help=__doc__)
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache/embedded"))
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
@click.option("--beside", "python", help="A Python that has pytorch-ood.")
def main(cache: Path, write: Path | None, python: str | None) -> None:
    """Print the tables, and write them between their markers."""
    shared = shared_dir()
    if shared is None:
        raise click.ClickException("There is no folder of photos.")
    photos = embedded_photos(shared / "data" / "manifest.csv", cache)
    every: list[Fold] = []
    compared = ""
    for known, fold in folds(photos):
        click.echo(", ".join(np.unique(fold.left_out.source)), err=True)
        if python and not compared:
            compared = beside(python, known, fold)
        every.append(fold)
    names = ["logit", "one Gaussian of plants", "plants against others"]
    parts = {
        "unfamiliar-alone": summary(every, fused=False),
        "unfamiliar-fused": summary(every, fused=True),
        "unfamiliar-on": switched_on(every),
        "unfamiliar-sources": by_source(every, names),
    }
    if compared:
        parts["unfamiliar-beside"] = compared
    for name, text in parts.items():
        click.echo(f"\n{name}\n\n{text}")
        if write:
            write_between_markers(write, name, text)


if __name__ == "__main__":
    main()
