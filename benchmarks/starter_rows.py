"""What would better the starter, each as a row: is it worth its time on sources never seen?

    python -m benchmarks.starter_rows --cache FOLDER --write docs/starter.md [--lite2 FILE]

Every source is judged by a gate that learned nothing of it and of what belongs together with it,
with the starter's recipe, and by a calibration and a threshold that were chosen without its scores.
Several backbones speak by the mean of their probes' logits and the mean of their memories' margins.
The time is that of network and memory on one core, as the CPU counts it.

--lite2 takes EfficientNet-Lite2 as `lite2_weights.py` writes it; without it its rows are left out.
Other backbones are shown all photos, but only one of --every pictures that are made of them; a row
has the starter alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import fmean

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.starter_again import CROPS, Near, accepted_again, borderline, look_again
from benchmarks.starter_backbones import (
    draw_larger,
    lite2_extractor,
    mobilenet_extractor,
    on_one_core,
    thinned,
)
from benchmarks.starter_measured import Measured, pass_times, table
from benchmarks.starter_pairs import accepted_apart, said_by_pairs
from benchmarks.starter_penalty import fit_apart
from plantood.model.parts.calibration import logit, sigmoid
from plantood.model.parts.neighbours import Neighbours
from plantood.training.common.settings import CACHE, DataSettings
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import write_between_markers
from plantood.training.features.extractor import Extractor, extractor_for
from plantood.training.fitting.probe import Probe
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.unseen import Accepted
from plantood.training.network.backbones import build_backbone
from plantood.training.photos.dataset import load_dataset
from plantood.training.recipe.bank import Bank, Draw, open_bank
from plantood.training.recipe.draw import draw_picture
from plantood.training.recipe.roles import Cuts
from plantood.training.starter.command import WEIGHTS
from plantood.training.starter.leave_out import COSTS, ProbeScores, Trainer, leave_each_out
from plantood.training.starter.photos import starter_rows
from plantood.training.starter.roles import ROLES, TOGETHER
from plantood.training.starter.train import (
    BACKBONE_NAME,
    fit_fold,
    fold_says,
    starter_bank,
    starter_weights,
)

FACTORS = 1.0, 10.0
"""Of the penalty on what separates sources."""
LITE0, MOBILENET, LITE2 = "EfficientNet-Lite0", "MobileNet", "EfficientNet-Lite2"


def fused(*parts: Unseen) -> Unseen:
    """Gates of several backbones as one: the mean of their logits and of their margins."""
    margins = [part.margins for part in parts if part.margins is not None]
    return replace(
        parts[0],
        probabilities=sigmoid(np.mean([logit(part.probabilities) for part in parts], axis=0)),
        margins=np.mean(margins, axis=0),
    )


def kept(cache: Path, bank: Bank, name: str, make: Callable[[], Unseen]) -> Unseen:
    """What folds say of a bank, computed once.

    Args:
        cache: folder.
        bank: that they are fitted to.
        name: of how they are fitted.
        make: computes it.
    """
    file = cache / f"starter-rows-{name}-{_digest(bank)}.npz"
    if not file.exists():
        made = make()
        np.savez(file, **{key: value for key, value in vars(made).items() if key != "together"})
    with np.load(file, allow_pickle=False) as arrays:
        return Unseen(**arrays, together=TOGETHER)


def _digest(bank: Bank) -> str:
    return sha256(bank.embeddings.tobytes()).hexdigest()[:16]


def apart_says(
    bank: Bank,
    doubtful: frozenset[Path],
    factor: float,
    left_out: frozenset[str],
    rows: NDArray[np.intp],
) -> ProbeScores:
    """What a probe says whose penalty knows the sources; the memory has nothing to do with it."""
    sources = np.array([s.sources[0] if s.kind in ("photo", "copy") else "" for s in bank.samples])
    weights = starter_weights(bank, doubtful, left_out)
    probe = fit_apart(bank.embeddings, bank.plant, weights, sources, factor)
    return probe.logits(bank.embeddings[rows]), np.zeros(len(rows), np.float32)


class Bench:
    """The starter's pictures, and what gates without each unit say of its photos."""

    def __init__(self, shared: Path, cache: Path, every: int) -> None:
        """Open the starter's bank; of so many made pictures other backbones are shown one."""
        manifest = shared / "data" / "manifest.csv"
        rows = starter_rows(manifest)
        self.shared, self.cache = shared, cache
        self.val = load_dataset(manifest, DataSettings(), cache).val
        backbone = build_backbone(BACKBONE_NAME, shared / WEIGHTS)
        self.extractor = extractor_for(BACKBONE_NAME, backbone, cache, self.val)
        self.bank, self.doubtful = starter_bank(rows, self.extractor, cache)
        self.cuts = Cuts.of(rows, ROLES)
        chosen = thinned(self.bank.samples, every)
        self.thin = Bank(
            [self.bank.samples[n] for n in chosen],
            np.ascontiguousarray(self.bank.embeddings[chosen]),
        )
        self._gates: dict[frozenset[str], tuple[Probe, Neighbours]] = {}

    def gate(self, left_out: frozenset[str]) -> tuple[Probe, Neighbours]:
        """The starter without some sources."""
        if left_out not in self._gates:
            probe, memory = fit_fold(self.bank, self.doubtful, left_out)
            self._gates[left_out] = probe, Neighbours(memory)
        return self._gates[left_out]

    def ships(self) -> Unseen:
        """What the starter says of sources left out."""

        def says(left_out: frozenset[str], rows: NDArray[np.intp]) -> ProbeScores:
            probe, neighbours = self.gate(left_out)
            embeddings = self.bank.embeddings[rows]
            return probe.logits(embeddings), neighbours.distances(embeddings).margin

        return self._kept("starter", self.bank, says)

    def apart_from_the_rule(self, ships: Unseen) -> list[Accepted]:
        """Its verdicts, each by a rule that is chosen by gates without the judged unit, too."""
        file = self.cache / f"starter-rows-pairs-{_digest(self.bank)}.npz"
        says = partial(fold_says, self.bank, self.doubtful)
        return accepted_apart(ships, said_by_pairs(ships, self.bank.samples, says, file))

    def again(self, ships: Unseen, near: Near) -> Unseen:
        """What it says of photos that it looks at again."""
        paths = [s.photos[0] for s in self.bank.samples if s.kind == "photo"]
        looked = np.any([*near.values()], axis=0)
        return kept(
            self.cache,
            self.bank,
            "again",
            lambda: look_again(ships, looked, paths, self.gate, self.extractor),
        )

    def apart(self, factor: float) -> Unseen:
        """With a penalty on what separates sources; the memory is the same."""
        says = partial(apart_says, self.bank, self.doubtful, factor)
        return self._kept(f"apart-{factor:g}", self.bank, says)

    def on(self, bank: Bank) -> Unseen:
        """By the starter's recipe on another bank."""
        return self._kept("recipe", bank, partial(fold_says, bank, self.doubtful))

    def beside(self, extractor: Extractor, draw: Draw = draw_picture) -> Unseen:
        """By the starter's recipe with another backbone."""
        samples, name = self.thin.samples, "starter-rows"
        return self.on(
            open_bank(
                *(samples, self.cuts, extractor, self.cache),
                name=name,
                of_length_1=True,
                draw=draw,
            )
        )

    def _kept(self, name: str, bank: Bank, says: Trainer) -> Unseen:
        return kept(self.cache, bank, name, lambda: leave_each_out(bank.samples, says, TOGETHER))


def measured(bench: Bench, lite2: Path | None) -> tuple[str, str]:
    """The table, and what is to be said of it."""
    ships = bench.ships()
    near = borderline(ships)
    again = bench.again(ships, near)
    apart = {factor: replace(bench.apart(factor), margins=ships.margins) for factor in FACTORS}
    thin = bench.on(bench.thin)
    extractors = {
        LITE0: bench.extractor,
        MOBILENET: mobilenet_extractor(bench.shared, bench.cache, bench.val),
    }
    said = {LITE0: thin, MOBILENET: bench.beside(extractors[MOBILENET])}
    note = f"{LITE2} is left out: its weights were not given (`--lite2`)."
    if lite2 is not None:
        extractors[LITE2], difference = lite2_extractor(lite2, bench.cache)
        said[LITE2] = bench.beside(extractors[LITE2], draw_larger)
        note = (
            f"The embeddings of {LITE2} are at most {difference:.1e} of the largest away from "
            "those of its package in torch."
        )
    took = pass_times(
        {name: on_one_core(one) for name, one in extractors.items()}, bench.gate(frozenset())[1]
    )
    alone = took[LITE0] + took["memory"]

    def row(unseen: Unseen, milliseconds: float = alone) -> Measured:
        return Measured.of(unseen.accepted(COSTS), milliseconds)

    looked = fmean(near[unit][np.isin(ships.sources, sorted(unit))].mean() for unit in near)
    first, fewer = row(ships), row(thin)
    rows: dict[str, tuple[Measured, Measured | None]] = {
        "the probe alone": (row(replace(ships, margins=None), took[LITE0]), first),
        "**probe and memory (ships)**": (first, None),
        "the same, judged by a rule of gates that had not learned from the unit either": (
            Measured.of(bench.apart_from_the_rule(ships), alone),
            first,
        ),
        f"crops, too, of the {looked:.0%} of photos that are borderline": (
            Measured.of(accepted_again(ships, again, near), alone * (1 + CROPS * looked)),
            first,
        ),
    }
    for factor, one in apart.items():
        rows[f"penalty on what separates sources, {factor:g}"] = row(one), first
    rows["**probe and memory**, fewer pictures"] = fewer, None
    for names in ((LITE0, MOBILENET), (LITE2,), (LITE0, LITE2)):
        if said.keys() >= set(names):
            time = sum(took[name] + took["memory"] for name in names)
            one = fused(*(said[name] for name in names))
            rows[f"{' and '.join(names)}, fewer pictures"] = row(one, time), fewer
    return table(rows, first), note


@click.command(help=__doc__)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE)
@click.option(
    "--every", default=3, show_default=True, help="Of how many made pictures one is shown."
)
@click.option("--lite2", type=click.Path(path_type=Path), help="Weights of EfficientNet-Lite2.")
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(cache: Path, every: int, lite2: Path | None, write: Path | None) -> None:
    """Print the table, and write it between its markers."""
    shared = shared_dir()
    if shared is None:
        raise click.ClickException("There is no folder of photos.")
    text, note = measured(Bench(shared, cache, every), lite2)
    command = f"$ python -m benchmarks.starter_rows --every {every} --write docs/starter.md"
    command += "" if lite2 is None else " --lite2 lite2.npz"
    text = f"```console\n{command}\n```\n\n{text}\n\n{note}"
    click.echo(text)
    if write is not None:
        write_between_markers(write, "starter-rows", text)


if __name__ == "__main__":
    main()
