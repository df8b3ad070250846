"""What a reviewer's hour is worth: false accepts on sources never seen, by photos reviewed.

    python -m benchmarks.flywheel.reviewing --write docs/flywheel.md

Each source of other photos is left out in turn (the two of bare ground together), and a source of
plants with it: a parent is trained without them, and they are taken out of the production photos
as well. By each rule of choosing, the first so many of these are labelled as a reviewer would
(doubtful ones cost a look, too, but teach nothing), the parent is fine-tuned on them, and judged on
the sources that neither of them saw. False retakes belong to it: who accepts nothing accepts
nothing wrongly. *Most unlike* is farthest from the training plants under one Gaussian; ``mine
--unlike`` goes by the nearest of all pictures that the gate remembers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.flywheel.bench import (
    AT_MOST,
    BARE_GROUND,
    CHILD,
    Bench,
    Parent,
    errors,
    folder_option,
    write_option,
    write_result,
)
from plantood.model.arrays import unit
from plantood.training.common.tables import markdown
from plantood.training.judging.evaluation import Evaluation
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
RULES = ("P <= 0.6, lowest first", "P <= 0.6, any order", "random", "margin", "most unlike")
COLOURS = ("#b5541c", "#d9a05b", "#777777", "#3763b0", "#2a7f3f")
PLOT = Path("docs/reviewing.svg")

Order = NDArray[np.int64]


def orders(p: NDArray, threshold: float, unlike: NDArray, seed: int) -> dict[str, Order]:
    """In which order each rule shows the production photos to a reviewer.

    Args:
        p: P(plant) of each, ``[N]``.
        threshold: of the parent.
        unlike: how far each is from the training plants, ``[N]``.
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
@click.option("--seeds", default=2, show_default=True)
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


def fold(bench: Bench, left_out: Sequence[str], seeds: int, log: Path) -> list[dict[str, Any]]:
    """All rules, budgets and seeds for one source never seen; what the log has is not repeated."""
    name = "+".join(left_out)
    done = {
        (line["rule"], line["budget"], line["seed"]): line
        for line in journal.read(log)
        if line["left_out"] == name
    }
    wanted = [(rule, budget, seed) for seed in range(seeds) for rule in RULES for budget in BUDGETS]
    if any(key not in done for key in wanted):
        parent = bench.parent([source for source in left_out if source in _sources(bench)])
        pool = [photo for photo in bench.production if photo.source not in left_out]
        p = bench.judged(parent, pool)
        unlike = parent.unlike(unit(bench.embeddings(pool)).astype(np.float64))
        for seed in range(seeds):
            order = orders(p, parent.evaluation.threshold, unlike, seed)
            for rule, budget, of in wanted:
                if of == seed and (rule, budget, seed) not in done:
                    chosen = [pool[i] for i in order[rule][:budget]]
                    at = f"reviewing/{name}/{RULES.index(rule) if budget else ''}-{budget}-{seed}"
                    line = {"left_out": name, "rule": rule, "budget": budget, "seed": seed}
                    line |= measure(bench, parent, chosen, at, seed)
                    journal.append(log, [line])
                    done[rule, budget, seed] = line
                    console.print(*line.values())
    return [done[key] for key in wanted]


def _sources(bench: Bench) -> set[str]:
    return {photo.source for photo in bench.labelled}


def measure(
    bench: Bench, parent: Parent, chosen: Sequence[LabelledPhoto], name: str, seed: int
) -> dict[str, Any]:
    """Fine-tune on some production photos; false accepts on the sources never seen."""
    _, child, _ = bench.child(parent, chosen, name, replace(CHILD, seed=seed))
    looked_at = [photo for photo in chosen if photo.sha256 not in bench.doubtful]
    unseen = child.splits["left out"]
    return {
        "plants": sum(photo.label for photo in looked_at),
        "others": sum(1 - photo.label for photo in looked_at),
        "threshold": child.threshold,
        "before": shares(parent.evaluation),
        **shares(child),
        "auroc": auroc(unseen.labels, unseen.probabilities),
        "test": errors(child, "test"),
    }


def shares(evaluation: Evaluation) -> dict[str, float]:
    """Share of the others accepted and of the plants sent back, on the sources never seen."""
    labels = evaluation.splits["left out"].labels
    return {
        error: wrong / int(np.sum(labels == label))
        for (error, label), wrong in zip(
            (("false_accepts", 0), ("false_retakes", 1)),
            errors(evaluation, "left out"),
            strict=True,
        )
    }


def means(lines: Sequence[dict[str, Any]], rule: str, key: str) -> dict[int, NDArray[np.float64]]:
    """By budget, the mean over the folds of a share in percent, ``[seeds]``."""
    by_budget: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line["rule"] == rule:
            by_budget[line["budget"]][line["seed"]].append(100 * line[key])
    return {
        budget: np.array([np.mean(shares) for shares in by_seed.values()])
        for budget, by_seed in sorted(by_budget.items())
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Rule by budget: means over folds and seeds; then rule by fold, at the largest budget."""
    header = ["rule", *map(str, BUDGETS), f"AUROC after {BUDGETS[-1]}", "others in the first 200"]
    rows = []
    for rule in RULES:
        accepts, retakes = (means(lines, rule, error).values() for error in ERRORS)
        others = [li["others"] for li in lines if li["rule"] == rule and li["budget"] == 200]
        cells = [
            f"{a.mean():.1f} (±{np.ptp(a) / 2:.1f}) / {r.mean():.1f} (±{np.ptp(r) / 2:.1f})"
            for a, r in zip(accepts, retakes, strict=True)
        ]
        area = means(lines, rule, "auroc")[BUDGETS[-1]].mean() / 100
        rows.append([rule, *cells, f"{area:.3f}", f"{np.mean(others):.0f}"])
    by_fold = []
    for left_out in dict.fromkeys(line["left_out"] for line in lines):
        mine = [line for line in lines if line["left_out"] == left_out]
        row = [left_out.replace("+", ", "), both([mine[0]["before"]])]
        for rule in RULES:
            row.append(
                both([li for li in mine if li["rule"] == rule and li["budget"] == BUDGETS[-1]])
            )
        by_fold.append(row)
    start = both(list({line["left_out"]: line["before"] for line in lines}.values()))
    return (
        "False accepts / false retakes on sources never seen, in percent, by production photos "
        f"reviewed: mean of {len(by_fold)} folds (before: {start}) and of the seeds, with half "
        f"the range of these.\n\n{markdown(header, rows)}\n\nBy fold, after {BUDGETS[-1]} "
        f"photos:\n\n{markdown(['sources left out', 'before', *RULES], by_fold)}\n"
    )


def both(figures: Sequence[dict[str, float]]) -> str:
    """Mean false accepts and false retakes in percent."""
    return " / ".join(f"{100 * np.mean([one[error] for one in figures]):.1f}" for error in ERRORS)


def draw(lines: Sequence[dict[str, Any]], file: Path) -> None:
    """One curve for each rule: mean of the seeds, and their range as a band."""
    before = {line["left_out"]: line["before"] for line in lines}.values()
    with styled():
        figure = Figure(figsize=(9, 4), layout="constrained")
        places = range(len(BUDGETS))
        for panel, (error, title) in zip(figure.subplots(1, 2), ERRORS.items(), strict=True):
            for rule, colour in zip(RULES, COLOURS, strict=True):
                values = np.array(list(means(lines, rule, error).values()))
                panel.plot(places, values.mean(axis=1), "o-", color=colour, label=rule)
                low, high = values.min(axis=1), values.max(axis=1)
                panel.fill_between(places, low, high, color=colour, alpha=0.12)
            start = 100 * np.mean([one[error] for one in before])
            panel.axhline(start, color="#999999", linestyle=":", label="before")
            panel.set_xticks(places, list(map(str, BUDGETS)))
            panel.set_ylim(bottom=0)
            panel.set_xlabel("production photos reviewed")
            panel.set_ylabel(f"{title} on sources never seen, %")
        panel.legend()
    file.write_bytes(rendered(figure, file.suffix.removeprefix(".")))


if __name__ == "__main__":
    main()
