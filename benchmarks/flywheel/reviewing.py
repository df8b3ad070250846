"""What a reviewer's hour is worth: false accepts on sources never seen, by photos reviewed.

    python -m benchmarks.flywheel.reviewing --write docs/flywheel.md

Each source of other photos is left out in turn (the two of bare ground together), and a source of
plants with it: a parent is trained without them, and they are taken out of the production photos
as well. By each rule of choosing, the first so many of these are labelled as a reviewer would
(doubtful ones cost a look, too, but teach nothing), the parent is fine-tuned on them, and judged on
the sources that neither of them saw. False retakes belong to it: who accepts nothing accepts
nothing wrongly. *Most unlike* is farthest from the nearest of all pictures that the gate remembers,
as in ``mine --unlike``. A child has one solution, so seeds only matter for rules that draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.areas import mean_area
from benchmarks.flywheel.bench import (
    AT_MOST,
    BARE_GROUND,
    Bench,
    Parent,
    errors,
    folder_option,
    mates,
    without,
    write_option,
    write_result,
)
from plantood.training.common.intervals import bootstrap, mean, share
from plantood.training.common.tables import markdown
from plantood.training.judging.metrics import auroc
from plantood.training.photos.data import LabelledPhoto
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.progress import console
from plantood.training.report.charts import rendered, styled
from plantood.training.rounds import journal

FOLDS = (
    (*BARE_GROUND, "plant_seedlings"),
    ("clothing", "beans_uganda"),
    ("crackforest_asphalt", "maize_plantvillage"),
    ("dtd_subset", "deep_weeds"),
    ("imagenet_samples", "imagenet_sample2", "cherry_orchard"),
    ("plantvillage_background", "rice_leaf"),
    ("sign_digits_hands", "blackgram_field"),
)
"""Sources left out together; the second of ImageNet is among the production photos only."""
ERRORS = {"false_accepts": "false accepts", "false_retakes": "false retakes"}
BUDGETS = (0, 50, 100, 200, 400, 800)
"""With none, the parent is fine-tuned on its own photos: what the weighted loss alone does."""
CHOSEN_IN = 200
"""First photos in which others are counted."""
LOWEST, ANY, RANDOM, MARGIN, UNLIKE = RULES = (
    "P <= 0.6, lowest first",
    "P <= 0.6, any order",
    "random",
    "margin",
    "most unlike",
)
DRAWN = (ANY, RANDOM)
"""Rules that draw."""
NONE = "nothing"
"""The rule of those of whom no photo is asked."""
COLOURS = ("#b5541c", "#d9a05b", "#777777", "#3763b0", "#2a7f3f")
PLOT = Path("docs/reviewing.svg")

Order = NDArray[np.int64]
Line = dict[str, Any]


def orders(p: NDArray, threshold: float, unlike: NDArray, seed: int) -> dict[str, Order]:
    """In which order each rule shows the production photos to a reviewer.

    Args:
        p: P(plant) of each, ``[N]``.
        threshold: of the parent.
        unlike: how far each is from the nearest remembered picture, ``[N]``.
        seed: of what is random.
    """
    rng = np.random.default_rng(seed)
    suspicious = np.argsort(p, kind="stable")
    suspicious = suspicious[p[suspicious] <= AT_MOST]
    found = (
        suspicious,
        rng.permutation(suspicious),
        rng.permutation(len(p)),
        np.argsort(np.abs(p - threshold), kind="stable"),
        np.argsort(-unlike, kind="stable"),
    )
    return dict(zip(RULES, found, strict=True))


@click.command(help=__doc__)
@folder_option
@click.option("--seeds", default=2, show_default=True, help="Of the rules that draw.")
@write_option
@click.option("--plot", type=click.Path(path_type=Path), default=PLOT, show_default=True)
def main(folder: Path, seeds: int, write: Path | None, plot: Path) -> None:
    """Measure what is missing, draw the plot, and write the table between its markers."""
    make_deterministic(0)
    bench = Bench(folder)
    lines = []
    for left_out in FOLDS:
        lines += fold(bench, left_out, seeds, folder / "reviewing.jsonl")
    draw(lines, plot)
    write_result(write, "flywheel-reviewing", "reviewing", table(lines))


def fold(bench: Bench, left_out: Sequence[str], seeds: int, log: Path) -> list[Line]:
    """All rules, budgets and seeds for one source never seen; what the log has is not repeated."""
    name = "+".join(left_out)
    done = {
        (line["rule"], line["budget"], line["seed"]): line
        for line in journal.read(log)
        if line["left_out"] == name
    }
    wanted = [(NONE, 0, 0)]
    for rule in RULES:
        of_rule = range(seeds if rule in DRAWN else 1)
        wanted += [(rule, budget, seed) for budget in BUDGETS[1:] for seed in of_rule]
    if any(key not in done for key in wanted):
        parent = bench.parent([source for source in left_out if source in _sources(bench)])
        pool = without(bench.production, mates(left_out))
        p = bench.judged(parent, pool)
        unlike = parent.unlike(bench.embeddings(pool))
        for rule, budget, seed in wanted:
            if (rule, budget, seed) not in done:
                order = orders(p, parent.evaluation.threshold, unlike, seed).get(rule, ())
                chosen = [pool[i] for i in order[:budget]]
                at = f"reviewing/{name}/{rule.replace(' ', '-')}-{budget}-{seed}"
                line = {"left_out": name, "rule": rule, "budget": budget, "seed": seed}
                line |= measure(bench, parent, chosen, at)
                journal.append(log, [line])
                done[rule, budget, seed] = line
                console.print(*line.values())
    return [done[key] for key in wanted]


def _sources(bench: Bench) -> set[str]:
    return {photo.source for photo in bench.labelled}


def measure(
    bench: Bench, parent: Parent, chosen: Sequence[LabelledPhoto], name: str
) -> dict[str, Any]:
    """Fine-tune on some production photos; false accepts on the sources never seen."""
    _, child, _ = bench.child(parent, chosen, name)
    looked_at = [photo for photo in chosen if photo.sha256 not in bench.doubtful]
    unseen = child.splits["left out"]
    plants = int(np.sum(unseen.labels))
    return {
        "plants": sum(photo.label for photo in looked_at),
        "others": sum(1 - photo.label for photo in looked_at),
        "threshold": child.threshold,
        "of": {"false_accepts": len(unseen.labels) - plants, "false_retakes": plants},
        "before": dict(zip(ERRORS, errors(parent.evaluation, "left out"), strict=True)),
        **dict(zip(ERRORS, errors(child, "left out"), strict=True)),
        "auroc": auroc(unseen.labels, unseen.probabilities),
    }


def by_fold(lines: Sequence[Line], rule: str, budget: int, key: str) -> NDArray[np.float64]:
    """A figure of each fold, the mean of its seeds; of errors, the share. ``[folds]``."""
    found: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if line["rule"] == (rule if budget else NONE) and line["budget"] == budget:
            found[line["left_out"]].append(line[key] / line["of"].get(key, 1))
    return np.array([np.mean(figures) for figures in found.values()])


def table(lines: Sequence[Line]) -> str:
    """A table of each error by rule and budget; then both by fold, at the largest budget."""
    most = BUDGETS[-1]
    before = [line for line in lines if line["rule"] == NONE]
    parts = [
        f"Mean of {len(before)} folds, with the 95 % interval of drawing other sources like these "
        "(bootstrap). The last column is the difference that the photos make, fold by fold, in "
        "points."
    ]
    for error, title in ERRORS.items():
        start = mean([line["before"][error] / line["of"][error] for line in before])
        header = [f"{title}, sources never seen", *map(str, BUDGETS), f"{most} less 0"]
        rows = []
        for rule in RULES:
            shares = [by_fold(lines, rule, budget, error) for budget in BUDGETS]
            change = 100 * (shares[-1] - shares[0])
            told = f"{change.mean():+.1f}"
            if interval := bootstrap(change):
                told += f" ({interval[0]:+.1f} to {interval[1]:+.1f})"
            rows.append([rule, *map(mean, shares), told])
        parts.append(f"Before fine-tuning: {start}.\n\n{markdown(header, rows)}")
    rows = []
    for rule in RULES:
        areas = [by_fold(lines, rule, budget, "auroc") for budget in (0, most)]
        others = by_fold(lines, rule, CHOSEN_IN, "others").mean()
        change = mean_area(areas[1] - areas[0], "{:+.3f}")
        rows.append([rule, *map(mean_area, areas), change, f"{others:.0f}"])
    header = ["AUROC, sources never seen", "0", str(most), f"{most} less 0"]
    parts.append(markdown([*header, f"others in the first {CHOSEN_IN}"], rows))
    rows = []
    for line in before:
        name, of = line["left_out"], line["of"]
        mine = [one for one in lines if one["left_out"] == name]
        after = [
            {error: of[error] * by_fold(mine, rule, most, error)[0] for error in ERRORS}
            for rule in RULES
        ]
        rows.append([name.replace("+", ", "), *(both(one, of) for one in (line["before"], *after))])
    header = ["sources left out", "before", *RULES]
    parts.append(
        f"False accepts and false retakes by fold, after {most} photos:\n\n"
        f"{markdown(header, rows)}\n"
    )
    return "\n\n".join(parts)


def both(wrong: Mapping[str, float], of: Mapping[str, int]) -> str:
    """The shares of false accepts and false retakes."""
    return " / ".join(share(round(wrong[error]), of[error]) for error in ERRORS)


def draw(lines: Sequence[Line], file: Path) -> None:
    """One curve for each rule, the mean of the folds."""
    before = [line for line in lines if line["rule"] == NONE]
    with styled():
        figure = Figure(figsize=(9, 4), layout="constrained")
        places = range(len(BUDGETS))
        for panel, (error, title) in zip(figure.subplots(1, 2), ERRORS.items(), strict=True):
            for rule, colour in zip(RULES, COLOURS, strict=True):
                values = [100 * by_fold(lines, rule, n, error).mean() for n in BUDGETS]
                panel.plot(places, values, "o-", color=colour, label=rule)
            start = 100 * np.mean([line["before"][error] / line["of"][error] for line in before])
            panel.axhline(start, color="#999999", linestyle=":", label="before")
            panel.set_xticks(places, list(map(str, BUDGETS)))
            panel.set_ylim(bottom=0)
            panel.set_xlabel("production photos reviewed")
            panel.set_ylabel(f"{title} on sources never seen, %")
        panel.legend()
    file.write_bytes(rendered(figure, file.suffix.removeprefix(".")))


if __name__ == "__main__":
    main()
