"""What a handful of photos teaches a gate about a source that it never saw.

    python -m benchmarks.adapting --cache FOLDER --write docs/adapt.md --plot docs/adapting.svg

For each source the gate that ships is made anew without it, recipe, memory, calibration and
threshold alike; then it is adapted with 0 to 40 photos of the source, drawn anew for each seed, as
`plantood adapt` does it. Kept plants are counted on the photos of the source that were never drawn,
where as many of the known others of the test split are let through as before; and at the thresholds
that the gate before, and `adapt`, choose themselves.

The *others* that go with them are everyday photos of a collection that no head was fitted to; those
of it that were not drawn show what becomes of false accepts of their like. Textures, which the
gates were made without and are never given, show what becomes of those of a source never seen.

A gate might also learn the camera instead of the plants: windows of bare ground, cut out of the
photos of seedlings, show whether it does.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from benchmarks.embedded import Embedded, embedded_photos
from benchmarks.starter_folds import FoldGate, gates_by_fold
from plantood.defaults import GATE_NAME
from plantood.model.entry import open_gate
from plantood.model.parts.calibration import logit
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory, unit
from plantood.model.starter import starter_dir
from plantood.training.adapt.correction.correct import (
    NewPhotos,
    fit_correction,
    leave_each_out,
    none,
)
from plantood.training.adapt.correction.penalty import choose_penalty
from plantood.training.adapt.judge import judge_child
from plantood.training.adapt.terms import CHOSEN, Terms
from plantood.training.common.intervals import share
from plantood.training.common.settings import CACHE, CostSettings
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.finetune.settings import MARGIN
from plantood.training.recipe.draw import draw_picture
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import Sample
from plantood.training.report.charts import COLOURS, rendered, styled

SOURCES = {
    "deep_weeds": "weeds from a robot",
    "plant_seedlings": "seedlings from above",
    "rice_leaf": "pieces of rice leaf",
    "maize_plantvillage": "maize leaves on a table",
}
OTHERS = "imagenet_sample2"
"""Source of the others that go with the new plants; those are left out that a person doubted."""
STRANGE = "dtd_subset"
"""Source of others that no gate has seen, before it is adapted and after; of all sources of others
the one of which a gate that has not seen it lets most through."""
GROUND = "plant_seedlings"
"""Source whose photos have bare ground beside the plants."""
COUNTS = (5, 10, 20, 40)
SEEDS = 5
WRONG = 0.1
STARTER = f"{GATE_NAME}:starter"
SIDE = {
    "like_shown": "false accepts, others like those given",
    "never_seen": "false accepts, others never seen",
    "known_kept": "known plants kept",
}
"""What else becomes of verdicts, by the names in `Result`."""
MODES = ("plants and others", "only plants", "only others", "10 % wrong labels")


@dataclass(frozen=True)
class Setting:
    """One source, and a gate that never saw it."""

    source: Embedded
    others: Embedded
    strange: NDArray[np.float32]
    """Embeddings of others that no gate has seen."""
    known_others: NDArray[np.float32]
    """Embeddings of the test split of the known sources."""
    known_plants: NDArray[np.float32]
    """Likewise."""
    gate: FoldGate

    @property
    def memory(self) -> Memory:
        """Of the gate."""
        return self.gate.memory


def settings(
    photos: Embedded, pool: Embedded, shared: Path, cache: Path
) -> Iterator[tuple[str, Setting]]:
    """Every source of `SOURCES` with its unit left out."""
    always = frozenset({STRANGE})
    for left_out, gate in gates_by_fold(shared, cache, always):
        for name in sorted(left_out & set(SOURCES)):
            known = ~np.isin(photos.source, sorted(left_out | always))
            test = known & (photos.split == "test")
            yield (
                name,
                Setting(
                    source=photos.part(photos.source == name),
                    others=pool.part((pool.source == OTHERS) & ~pool.plant),
                    strange=photos.part(photos.source == STRANGE).embedding,
                    known_others=photos.part(test & ~photos.plant).embedding,
                    known_plants=photos.part(test & photos.plant).embedding,
                    gate=gate,
                ),
            )


def new_photos(
    setting: Setting, plants: NDArray[np.intp], others: NDArray[np.intp], wrong: float, seed: int
) -> NewPhotos:
    """Some photos of the source and some others; a share of each class wrongly labelled."""
    x = np.concatenate([setting.source.embedding[plants], setting.others.embedding[others]])
    plant = np.arange(len(x)) < len(plants)
    rng = np.random.default_rng(seed)
    swapped = [
        rng.choice(members, round(wrong * len(members)), replace=False)
        for members in (np.flatnonzero(plant), np.flatnonzero(~plant))
        if len(members)
    ]
    plant[np.concatenate([*swapped, np.empty(0, np.intp)]).astype(np.intp)] ^= True
    return NewPhotos(x, said_of(setting, x), plant, np.arange(len(x)))


def said_of(setting: Setting, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of P(plant) without any correction, as the gate gives them."""
    return setting.gate.logits(x).astype(np.float32)


@dataclass(frozen=True)
class Result:
    """Shares, 0..1, of photos that are in no drawing."""

    kept: float
    """Of the source's plants that were never drawn."""
    like_shown: float
    """False accepts, of the others of the collection that some were drawn of."""
    never_seen: float
    """False accepts, of the others of a source that is never drawn."""
    known_kept: float
    """Of the known plants of the test split."""
    known_accepted: float
    """Of the known others of the test split."""
    photos: dict[str, int]
    """Of how many each is a share, by its name."""


def results(
    setting: Setting,
    correction: Correction,
    unused: dict[str, NDArray],
    threshold: float | None = None,
) -> Result:
    """At a threshold of P(plant); by default where as many known others pass as before."""

    def corrected(x: NDArray[np.float32]) -> NDArray[np.float64]:
        return correction.logit(setting.gate.logits(x), x)

    if threshold is None:
        own = float(logit(setting.gate.rule.threshold.threshold))
        before = int(np.sum(setting.gate.logits(setting.known_others) >= own))
        known = corrected(setting.known_others)
        least = float(np.nextafter(np.sort(known)[::-1][before], np.inf))  # as many lie above it
    else:
        least = float(logit(threshold))
    judged = {
        "kept": setting.source.embedding[unused["plants"]],
        "like_shown": setting.others.embedding[unused["others"]],
        "never_seen": setting.strange,
        "known_kept": setting.known_plants,
        "known_accepted": setting.known_others,
    }
    shares = {name: float(np.mean(corrected(x) >= least)) for name, x in judged.items()}
    return Result(**shares, photos={name: len(x) for name, x in judged.items()})


def chosen(setting: Setting, new: NewPhotos, correction: Correction, penalty: float) -> float:
    """The threshold that `adapt` chooses."""
    start = none(new.embedding.shape[1])
    rule = setting.gate.rule.threshold
    terms = Terms.from_figures(
        {CHOSEN: rule.as_dict()}, rule.threshold, setting.memory, CostSettings()
    )
    left_out = leave_each_out(setting.memory, new, start, penalty=penalty, begin=correction)
    judged = judge_child(
        setting.memory, new, start, correction, left_out, terms=terms, margin=MARGIN
    )
    return judged.after.threshold


def run(setting: Setting, mode: str, count: int, seed: int) -> tuple[Result, Result | None]:
    """One adaptation with ``count`` photos of each class that the mode has.

    Where as many known others pass as before; and, with plants and others, at its own threshold.
    """
    rng = np.random.default_rng(seed)
    plants, others = (
        rng.permutation(len(setting.source)),
        rng.permutation(len(setting.others)),
    )
    most = max(COUNTS)
    unused = {"plants": plants[most:], "others": others[most:]}
    correction = none(setting.source.embedding.shape[1])
    threshold = setting.gate.rule.threshold.threshold
    if count:
        new = new_photos(
            setting,
            plants[: 0 if mode == "only others" else count],
            others[: 0 if mode == "only plants" else count],
            WRONG if mode == "10 % wrong labels" else 0.0,
            seed,
        )
        penalty = choose_penalty(setting.memory, new, correction)
        correction = fit_correction(setting.memory, new, correction, penalty=penalty)
        if mode == MODES[0]:
            threshold = chosen(setting, new, correction, penalty)
    at_its_own = results(setting, correction, unused, threshold) if mode == MODES[0] else None
    return results(setting, correction, unused), at_its_own


def ground_windows(manifest: Path) -> NDArray[np.float32]:
    """Embeddings of a window of bare ground from each labelled photo of `GROUND`."""
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == GROUND and row["label"]]
    pictures = [
        draw_picture(
            Sample("window", False, (GROUND,), (0, i), (manifest.parent / row["path"],)), Cuts()
        )
        for i, row in enumerate(rows)
    ]
    scorer = open_gate(starter_dir()).scorer()
    return unit(scorer.score(np.stack(pictures)).embedding)


def ground_table(setting: Setting, windows: NDArray[np.float32]) -> str:
    """Bare ground accepted and plants kept with 20 plants, and with windows of ground among them.

    Photos are in the manifest's order, and windows in that of their photos: what is learned from is
    taken from the first, what is judged from the others.
    """
    unused = {"plants": np.arange(max(COUNTS), len(windows)), "others": np.arange(0)}
    rows = []
    for name, plants, ground in (
        ("nothing", 0, 0),
        ("20 plants", 20, 0),
        ("20 plants, 5 windows", 20, 5),
        ("20 plants, 20 windows", 20, 20),
    ):
        x = np.concatenate([setting.source.embedding[:plants], windows[:ground]])
        new = NewPhotos(x, said_of(setting, x), np.arange(len(x)) < plants, np.arange(len(x)))
        start = none(x.shape[1])
        penalty = choose_penalty(setting.memory, new, start)
        correction = fit_correction(setting.memory, new, start, penalty=penalty)
        judged = replace(setting, others=replace(setting.others, embedding=windows))
        result = results(judged, correction, unused | {"others": unused["plants"]})
        rows.append([name, *(told([result], figure) for figure in ("kept", "like_shown"))])
    return markdown(["given", "plants kept", "bare ground accepted"], rows)


def told(found: list[Result], figure: str) -> str:
    """The mean of some drawings' shares, with the interval of a share of as many photos."""
    photos = found[0].photos[figure]
    return share(round(photos * float(np.mean([vars(one)[figure] for one in found]))), photos)


def table(found: dict[tuple[str, str, int], list[Result]], mode: str) -> str:
    """Mean over the seeds, lowest and highest in brackets; of the last two, the interval."""
    rows = []
    for name, what in SOURCES.items():
        row = [what]
        for count in (0, *COUNTS):
            kept = [one.kept for one in found[name, mode, count]]
            low, high = min(kept), max(kept)
            row.append(f"{np.mean(kept):.0%} ({100 * low:.0f} to {100 * high:.0f})")
        for figure in SIDE:
            ends = (told(found[name, mode, count], figure) for count in (0, max(COUNTS)))
            row.append(", then ".join(ends))
        rows.append(row)
    given = {MODES[1]: "{} plants", MODES[2]: "{} others"}.get(mode, "{0} + {0} photos")
    header = ["plants kept of", *(given.format(count) for count in (0, *COUNTS))]
    return markdown([*header, *SIDE.values()], rows)


def own_table(found: dict[tuple[str, int], list[Result]]) -> str:
    """Plants kept, and others let through, at the thresholds that are chosen."""
    figures = {"kept": "plants kept", **SIDE, "known_accepted": "known others let through"}
    rows = []
    for name, what in SOURCES.items():
        for figure, title in figures.items():
            cells = (told(found[name, count], figure) for count in (0, *COUNTS))
            rows.append([what, title, *cells])
    return markdown(["source", "figure", *(f"{n} + {n} photos" for n in (0, *COUNTS))], rows)


def plot(found: dict[tuple[str, str, int], list[Result]], file: Path) -> None:
    """Kept plants over the number of photos, a panel for each source, a line for each mode."""
    counts = (0, *COUNTS)
    with styled():
        figure = Figure(figsize=(12, 3.2), layout="constrained")
        panels = figure.subplots(1, len(SOURCES), sharey=True)
        for panel, (name, what) in zip(panels, SOURCES.items(), strict=True):
            for mode, colour in zip(MODES, COLOURS, strict=False):
                kept = np.array([[one.kept for one in found[name, mode, n]] for n in counts])
                panel.plot(counts, kept.mean(1), marker=".", color=colour, label=mode)
                panel.fill_between(counts, kept.min(1), kept.max(1), color=colour, alpha=0.15, lw=0)
            panel.set_title(what)
            panel.set_xlabel("photos of a class")
            panel.set_xticks(counts)
            panel.grid(alpha=0.3)
        panels[0].set_ylabel("plants kept")
        panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, 0))
        panels[-1].legend(loc="lower right")
    file.write_bytes(rendered(figure, file.suffix.removeprefix(".")))


def timed(pool_labels: Path) -> str:
    """``plantood adapt`` of the gate that ships, from its start to its end, with an empty store.

    With photos that it has not seen.
    """
    with pool_labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    cells = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            for label in ("plant", "other"):
                Path(folder, "photos", label).mkdir(parents=True)
                for row in [row for row in rows if row["label"] == label][:count]:
                    shutil.copy(pool_labels.parent / row["path"], Path(folder, "photos", label))
            words = [sys.executable, "-m", "plantood", "adapt", STARTER, "photos", "--force"]
            home = {**os.environ, "BENTOML_HOME": str(Path(folder, "bentoml"))}
            before = time.perf_counter()
            subprocess.run(words, cwd=folder, env=home, check=True, stdout=subprocess.DEVNULL)
            cells.append(f"{time.perf_counter() - before:.1f} s")
    header = ["", *(f"{n} plants and {n} others" for n in COUNTS)]
    return markdown(header, [["`plantood adapt`", *cells]])


@click.command(help=__doc__)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE)
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
@click.option("--plot", "figure", type=click.Path(path_type=Path), help="SVG file to draw into.")
def main(cache: Path, write: Path | None, figure: Path | None) -> None:
    """Adapt, print the tables, and write them between their markers."""
    shared = shared_dir()
    if shared is None:
        raise click.ClickException("There is no folder of photos.")
    manifest = shared / "data" / "manifest.csv"
    photos = embedded_photos(manifest, cache / "embedded")
    pool = embedded_photos(manifest, cache / "embedded", shared / "data" / "pool_labels.csv")
    found: dict[tuple[str, str, int], list[Result]] = defaultdict(list)
    own: dict[tuple[str, int], list[Result]] = defaultdict(list)
    texts = {"time": timed(shared / "data" / "pool_labels.csv")}
    for name, setting in settings(photos, pool, shared, cache):
        click.echo(name, err=True)
        if name == GROUND:
            texts["ground"] = ground_table(setting, ground_windows(manifest))
        for mode in MODES:
            for count in (0, *COUNTS):
                for seed in range(SEEDS):
                    result, at_its_own = run(setting, mode, count, seed)
                    found[name, mode, count].append(result)
                    if at_its_own:
                        own[name, count].append(at_its_own)
    texts |= {mode.replace(" %", "").replace(" ", "-"): table(found, mode) for mode in MODES}
    texts["own-thresholds"] = own_table(own)
    for name, text in texts.items():
        click.echo(f"\n{name}\n\n{text}")
        if write:
            write_between_markers(write, f"adapting-{name}", text)
    if figure:
        plot(found, figure)


if __name__ == "__main__":
    main()
