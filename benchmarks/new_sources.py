"""What the rule of a gate costs on sources that nobody trained or chose on, by who chose it.

    python -m benchmarks.new_sources --cache runs/cache/embeddings --write docs/train.md

Some sources of each class are drawn from the shared manifest, and a linear head is trained on them
as `train` does, on the starter's embeddings. Its penalty, and its calibration and threshold, are
chosen by the validation photos or by sources left out in turn; the cost is counted on all sources
that were not drawn, and on the test photos of those that were.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.embedded import Embedded, embedded_public
from plantood.training.common.intervals import mean
from plantood.training.common.settings import CACHE, CostSettings, FitSettings
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.fitting.linear import LinearFits
from plantood.training.fitting.unseen import UNSEEN, judge_unseen, unseen_of
from plantood.training.judging.decision.rule import Rule, Unseen
from plantood.training.judging.evaluation import Scored
from plantood.training.judging.metrics import cross_entropy
from plantood.training.judging.unseen import Accepted, accepted_shares, by_unit
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Dataset, Photos
from plantood.training.photos.division.units import units_of
from plantood.training.starter.roles import TOGETHER
from plantood.training.train.judged import rule_of_validation

HEAD = "gap_l2"
COUNTS = (2, 3, 4, 5, 6, 7)
"""Sources of each class that are drawn."""
COSTS = CostSettings(share_of_others=0.5)
VALIDATION, LEFT_OUT = "validation", "sources left out"
WAYS = ((VALIDATION, VALIDATION), (LEFT_OUT, VALIDATION), (LEFT_OUT, LEFT_OUT))
"""Who chooses the penalty, and who calibration and threshold."""


class Rows(dict[str, NDArray[np.float32]]):
    """Embeddings by the digest of the photo, in the place of a cache of feature maps."""

    def rows(self, photos: Photos) -> SimpleNamespace:
        """Of these photos."""
        return SimpleNamespace(pooled=lambda: np.array([self[p.sha256] for p in photos]))


def labelled(photos: Embedded) -> Photos:
    """As photos of a data set; a number stands for the digest."""
    return tuple(
        LabelledPhoto(Path(str(n)), int(plant), str(source), str(split), str(n), b"")
        for n, (plant, source, split) in enumerate(
            zip(photos.plant, photos.source, photos.split, strict=True)
        )
    )


def drawn(photos: Photos, count: int, seed: int) -> Dataset:
    """So many sources of each class, with all photos of the others left out."""
    rng = np.random.default_rng((count, seed))
    kept: set[str] = set()
    for label in (0, 1):
        names = sorted({photo.source for photo in photos if photo.label == label})
        units = units_of(names, TOGETHER)
        kept |= {min(unit) for unit in (units[i] for i in rng.permutation(len(units))[:count])}
    unit_of = {name: unit for unit in TOGETHER for name in unit}
    near = {other for name in kept for other in unit_of.get(name, ())} - kept
    mine = [photo for photo in photos if photo.source in kept]
    return Dataset(
        *(tuple(p for p in mine if p.split == split) for split in ("train", "val", "test")),
        left_out=tuple(p for p in photos if p.source not in kept | near),
    )


def judged(fits: LinearFits, dataset: Dataset, folder: Path) -> dict[tuple[str, str], list[float]]:
    """What each way comes to on photos of sources that were not drawn, and of those that were.

    Returns:
        By way, the figures of new sources, and of known ones.
    """
    unseen = judge_unseen(dataset, fits.says, folder / UNSEEN, "Without sources")
    assert unseen is not None
    splits = {"val": dataset.val, "new": dataset.left_out, "known": dataset.test}
    said = {
        name: unseen_of(photos, [fits.says(dataset, photos)]) for name, photos in splits.items()
    }
    val = said["val"]
    penalties = {
        VALIDATION: [cross_entropy(val.plant, p).mean() for p in val.probabilities],
        LEFT_OUT: unseen.losses(COSTS, (1.0, 1.0)),
    }
    found = {}
    for way in WAYS:
        penalty = int(np.argmin(penalties[way[0]]))
        rule = (
            unseen.only(penalty).rule(COSTS)
            if way[1] == LEFT_OUT
            else rule_of_validation(
                Scored(dataset.val, val.probabilities[penalty]), COSTS, (1.0, 1.0), dataset.groups
            )
        )
        found[way] = [
            figure
            for name in ("new", "known")
            for figure in _figures(said[name].only(penalty), rule)
        ]
    return found


def _figures(one: Unseen, rule: Rule) -> tuple[float, ...]:
    """Cost of 100 photos, half of them others, plants kept, false accepts and log loss."""
    calibrated = one.judged(rule, np.ones(len(one.plant), np.bool_))
    shares = accepted_shares(one.plant, calibrated, one.sources.tolist(), rule.threshold.threshold)
    kept, accepted = _mean(shares, "plant"), _mean(shares, "other")
    cost = COSTS.false_accept_cost * accepted + COSTS.false_retake_cost * (1 - kept)
    after = replace(one, probabilities=calibrated[None])
    return 100 * cost / 2, kept, accepted, *after.losses(COSTS, (1.0, 1.0))


def _mean(shares: list[Accepted], label: str) -> float:
    """Of the units of one class that have a say."""
    units = by_unit([one for one in shares if one.label == label], TOGETHER)
    return fmean(map(fmean, units))


def table(every: dict[int, dict[tuple[str, str], list[list[float]]]]) -> str:
    """Means over the draws, and by how much each way differs from validation alone."""
    header = ["sources of each class", "penalty by", "calibration and threshold by"]
    header += ["cost, new sources", "difference", "plants kept", "false accepts", "log loss"]
    header += ["cost, known sources", "plants kept", "false accepts"]
    rows = []
    for count, ways in every.items():
        first = np.array(ways[WAYS[0]])
        for way, figures in ways.items():
            found = np.array(figures)
            cost, _, _, log_loss, known = found.mean(axis=0)[:5]
            change = found[:, 0] - first[:, 0]
            error = change.std(ddof=1) / np.sqrt(len(change))
            rows.append(
                [
                    *(str(count), *way, f"{cost:.1f}"),
                    "" if way == WAYS[0] else f"{change.mean():+.1f} (± {error:.1f})",
                    *(mean(found[:, 1]), mean(found[:, 2]), f"{log_loss:.3f}"),
                    *(f"{known:.1f}", mean(found[:, 5]), mean(found[:, 6])),
                ]
            )
    return markdown(header, rows)


@click.command(help=__doc__)
@click.option("--draws", default=20, show_default=True, help="Of each number of sources.")
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE / "embeddings")
@click.option("--write", type=click.Path(path_type=Path), help="Document to write the table into.")
def main(draws: int, cache: Path, write: Path | None) -> None:
    """Draw sources, train, judge, and write the table between its markers."""
    known = embedded_public(cache)
    photos = labelled(known)
    rows = Rows({str(n): row for n, row in enumerate(known.embedding)})
    fits = LinearFits(HEAD, rows, FitSettings(fine_tune_epochs=0))
    every: dict[int, dict[tuple[str, str], list[list[float]]]] = {}
    for count in COUNTS:
        ways = every.setdefault(count, {way: [] for way in WAYS})
        for seed in range(draws):
            with tempfile.TemporaryDirectory() as folder:
                for way, figures in judged(fits, drawn(photos, count, seed), Path(folder)).items():
                    ways[way].append(figures)
    text = (
        f"Mean of {draws} draws of sources, a linear head each: cost of 100 photos, half of them "
        f"others, a false accept at {COSTS.false_accept_cost:g}; sources count alike. The "
        "difference is to the first row of the same number, with its standard error; shares have "
        "the 95 % interval of other draws of these sources (bootstrap; none where all agree).\n\n"
        + table(every)
    )
    click.echo(text)
    if write is not None:
        write_between_markers(write, "new-sources", text)


if __name__ == "__main__":
    main()
