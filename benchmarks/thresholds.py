"""What a rule for the threshold costs where there are few validation photos.

    python -m benchmarks.thresholds --cache runs/cache/embeddings --write docs/train.md

Small collections are drawn from the photos of the shared manifest: a linear head is trained on the
starter's embeddings of one part, each rule chooses a threshold on another, and the cost is counted
on all test photos. Once the collection is of all sources, once of half of them, so that most of the
test photos are of cameras and places that nobody trained or chose on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.embedded import Embedded, embedded
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.judging.calibration import fit_calibration
from plantood.training.judging.metrics import confusion
from plantood.training.judging.threshold import (
    FALSE_ACCEPT_COST,
    FALSE_RETAKE_COST,
    bayes_threshold,
    choose_threshold,
)

OTHERS = (8, 16, 22, 50, 150)
"""In validation, and as many plants; the training part is 70 to their 15."""
REGULARISATIONS = (0.3, 10.0, 300.0)
"""Of the heads: from shy to far too sure of themselves."""
BAYES = bayes_threshold(FALSE_ACCEPT_COST, FALSE_RETAKE_COST)
Scores = NDArray[np.float64]
Rule = Callable[[NDArray[np.bool_], Scores, Scores], float]
"""Labels and P(plant) of validation, and P(plant) of the test photos, to a threshold of these."""


def cost(labels: NDArray[np.bool_], scores: Scores, threshold: float) -> float:
    """Of all photos, in false retakes."""
    counts = confusion(labels, scores, threshold)
    return FALSE_ACCEPT_COST * counts["false_accept"] + FALSE_RETAKE_COST * counts["false_retake"]


def cheapest(labels: NDArray[np.bool_], scores: Scores) -> float:
    """The middle of the interval of the lowest cost; of several the nearest to one half."""
    values = np.unique(np.concatenate([[0.0, 1.0], scores]))
    middles = (values[:-1] + values[1:]) / 2
    costs = np.array([cost(labels, scores, threshold) for threshold in middles])
    best = middles[costs == costs.min()]
    return float(best[np.argmin(np.abs(best - 0.5))])


def calibrated_rule(labels: NDArray[np.bool_], val: Scores, test: Scores, chosen: bool) -> float:
    """Bayes' threshold, or the chosen one, of calibrated probabilities; on the raw ones' scale."""
    fitted = fit_calibration(labels, val)
    threshold = choose_threshold(labels, fitted.apply(val)).threshold if chosen else BAYES
    accepted = test[fitted.apply(test) >= threshold]
    return float(accepted.min()) if len(accepted) else 2.0


RULES: dict[str, Rule] = {
    "cheapest on validation": lambda y, val, _: cheapest(y, val),
    "flat 0.5": lambda y, val, _: 0.5,
    "flat 0.75 (Bayes)": lambda y, val, _: BAYES,
    "within the noise, towards Bayes": lambda y, val, _: choose_threshold(y, val).threshold,
    "calibrated, flat 0.75": lambda y, val, test: calibrated_rule(y, val, test, chosen=False),
    "calibrated, within the noise (`train`)": lambda y, val, test: calibrated_rule(
        y, val, test, chosen=True
    ),
}
BEST = "best possible"


def collections(
    photos: Embedded, others: int, draws: int, half: bool
) -> Iterator[tuple[Embedded, Embedded]]:
    """Training and validation part of each draw."""
    known = photos.part(photos.split != "test")
    for seed in range(draws):
        rng = np.random.default_rng((others, seed))
        parts: list[list[NDArray[np.intp]]] = [[], []]
        for plant in (False, True):
            mine = np.flatnonzero(known.plant == plant)
            if half:
                names = np.unique(known.source[mine])
                kept = rng.choice(names, len(names) // 2, replace=False)
                mine = mine[np.isin(known.source[mine], kept)]
            rng.shuffle(mine)
            wanted = min(others, len(mine) * 15 // 85)
            parts[1].append(mine[:wanted])
            parts[0].append(mine[wanted : wanted + others * 70 // 15])
        train, val = (known.part(np.concatenate(part)) for part in parts)
        yield train, val


def measured(photos: Embedded, others: int, draws: int, half: bool) -> dict[str, list[list[float]]]:
    """Cost and false accepts on the test photos of every rule, draw and head."""
    test = photos.part(photos.split == "test")
    found: dict[str, list[list[float]]] = defaultdict(list)
    for train, val in collections(photos, others, draws, half):
        centre = train.embedding.mean(axis=0)
        scale = train.embedding.std(axis=0) + 1e-6
        for strength in REGULARISATIONS:
            head = LogisticRegression(C=strength / len(centre), max_iter=500)
            head.fit((train.embedding - centre) / scale, train.plant)
            scores = {
                name: head.predict_proba((part.embedding - centre) / scale)[:, 1]
                for name, part in (("val", val), ("test", test))
            }
            thresholds = {
                name: rule(val.plant, scores["val"], scores["test"]) for name, rule in RULES.items()
            }
            thresholds[BEST] = cheapest(test.plant, scores["test"])
            for name, threshold in thresholds.items():
                counts = confusion(test.plant, scores["test"], threshold)
                found[name].append(
                    [cost(test.plant, scores["test"], threshold), counts["false_accept"]]
                )
    return found


def table(photos: Embedded, draws: int, half: bool) -> str:
    """Mean cost by rule and number of others, with the most false accepts that ever were."""
    every = {others: measured(photos, others, draws, half) for others in OTHERS}
    header = ["rule", *(f"{others} others" for others in OTHERS)]
    rows = []
    for name in (*RULES, BEST):
        cells = []
        for others in OTHERS:
            costs, accepts = np.array(every[others][name]).T
            cells.append(f"{costs.mean():.1f} ({accepts.max():.0f})")
        rows.append([name, *cells])
    return markdown(header, rows)


@click.command()
@click.option("--draws", default=20, show_default=True, help="Collections of each size.")
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache/embeddings"))
@click.option("--write", type=click.Path(path_type=Path), help="Document to write the table into.")
def main(draws: int, cache: Path, write: Path | None) -> None:
    """Count what rules for the threshold cost."""
    shared = shared_dir()
    if shared is None:
        raise click.ClickException("the photos are in the folder that PLANTOOD_SHARED names")
    photos = embedded(shared / "data/manifest.csv", cache)
    test = photos.part(photos.split == "test")
    text = (
        f"Mean cost on {int(test.plant.sum())} plants and {int((~test.plant).sum())} others of the "
        f"test split, a false accept at {FALSE_ACCEPT_COST:g}; in brackets, the most others "
        f"accepted in any of {draws} draws with {len(REGULARISATIONS)} heads each. By others in "
        "validation, with as many plants, drawn from all sources:\n\n"
        + table(photos, draws, half=False)
        + "\n\nDrawn from half of the sources, so that the others of the test split are new:\n\n"
        + table(photos, draws, half=True)
    )
    click.echo(text)
    if write is not None:
        write_between_markers(write, "thresholds", text)


if __name__ == "__main__":
    main()
