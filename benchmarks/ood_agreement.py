"""Whether pytorch-ood, given the same embeddings, scores photos as our detectors do."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.ood_detectors import NEIGHBOURS, Known
from benchmarks.ood_figures import Figures, sides
from benchmarks.ood_folds import Fold
from plantood.training.common.tables import markdown

BESIDE = Path(__file__).with_name("ood_beside.py")
TOLERANCE = 1e-5
"""Largest difference of a score, in standard deviations of the scores."""
ROUGH = {"ViM": 0.05}
"""The same of detectors that pytorch-ood computes in float32."""
IN_FLOAT64 = ", in float64"
"""Behind the name of such a detector that was made to compute in float64."""


@dataclass(frozen=True)
class Compared:
    """One detector on one source that was left out."""

    detector: str
    source: str
    difference: float
    """Largest of a score in this fold, in standard deviations of the scores."""
    ours: Figures
    theirs: Figures

    @property
    def apart(self) -> NDArray[np.float64]:
        """How far the figures are from each other ``[4]``."""
        ours, theirs = (list(vars(one).values()) for one in (self.ours, self.theirs))
        return np.abs(np.subtract(ours, theirs))


def compare(python: str, known: Known, fold: Fold) -> tuple[list[Compared], str]:
    """Every detector of theirs on a fold, and the versions of what scored.

    Args:
        python: one that has pytorch-ood.
        known: what the fold's detectors were fitted to.
        fold: the photos.

    Raises:
        ClickException: a score is further from ours than `TOLERANCE` or `ROUGH` says.
    """
    points = np.concatenate([fold.left_out.embedding, fold.known.embedding]).astype(np.float64)
    with tempfile.TemporaryDirectory() as temporary:
        given, out = Path(temporary, "in.npz"), Path(temporary, "out.npz")
        np.savez(given, points=points, k=NEIGHBOURS, **vars(known))
        subprocess.run([python, BESIDE, given, out], check=True)
        with np.load(out, allow_pickle=False) as file:
            scores = {name: file[name] for name in file.files}
    versions = str(scores.pop("versions"))
    return [one for name in scores for one in _of(fold, name, scores[name])], versions


def _of(fold: Fold, name: str, theirs: NDArray[np.float64]) -> list[Compared]:
    ours = fold.scores[name.removesuffix(IN_FLOAT64)]
    difference = apart(ours, theirs)
    if not difference <= ROUGH.get(name, TOLERANCE):
        raise click.ClickException(
            f"Without {', '.join(fold.sources)}, {name} by pytorch-ood differs by {difference:.1e} "
            "standard deviations."
        )
    folds = [Fold(fold.left_out, fold.known, {name: score}) for score in (ours, theirs)]
    return [
        Compared(
            name,
            source,
            difference,
            *(Figures.of(*sides(one, name, source, fused=False)) for one in folds),
        )
        for source in fold.sources
    ]


def apart(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Largest difference of a score, in standard deviations, after a common scale.

    A score is as good as its order: factors that a paper leaves open are taken out.
    """
    slope, intercept = np.polyfit(theirs, ours, 1)
    if not slope > 0:
        return float("inf")
    return float(np.abs(ours - slope * theirs - intercept).max() / ours.std())


def agreement(every: list[Compared], versions: str) -> str:
    """A row for each detector: the means of both, and the largest differences of all sources."""
    rows = []
    for name in dict.fromkeys(one.detector for one in every):
        mine = [one for one in every if one.detector == name]
        means = [np.mean([getattr(one, side).auroc for one in mine]) for side in ("ours", "theirs")]
        worst = max(mine, key=lambda one: one.difference)
        rows.append(
            [
                name,
                *(f"{area:.4f}" for area in means),
                *(
                    f"{most:.1e}" if most else "0"
                    for most in np.max([one.apart for one in mine], axis=0)
                ),
                f"{worst.difference:.1e}",
                worst.source,
            ]
        )
    header = ["detector", "mean AUROC, ours", "pytorch-ood", "largest difference: AUROC", "AUPR"]
    header += ["FPR at 95 %", "at 98 %", "a score", "without"]
    sources = len({one.source for one in every})
    return f"{sources} sources left out; {versions}.\n\n{markdown(header, rows)}"
