"""What a rule for the threshold costs where there are few validation photos.

    python -m benchmarks.thresholds --cache runs/cache/embeddings --write docs/train.md

Small collections are drawn from the photos of the shared manifest: a linear head is trained on the
starter's embeddings of one part, each rule chooses a threshold on another, and the cost is counted
on all test photos. Once the collection is of all sources, once of half of them, so that the other
half of the test photos' sources are cameras and places that nobody trained or chose on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.embedded import Embedded, embedded_public
from plantood.training.common.settings import CACHE
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.judging.decision.calibration import fit_calibration
from plantood.training.judging.decision.threshold import (
    FALSE_ACCEPT_COST,
    FALSE_RETAKE_COST,
    bayes_threshold,
    choose_threshold,
)
from plantood.training.judging.outcomes import confusion

OTHERS = (8, 16, 22, 50, 150)
"""In validation, and as many plants; the training part is 70 to their 15."""
SURE, SHY = (0.5, 5.0), (0.005, 0.05)
"""Heads, by scikit-learn's C on standardised embeddings: that fit their photos closely, and not."""
BAYES = bayes_threshold(FALSE_ACCEPT_COST, FALSE_RETAKE_COST)
Scores = NDArray[np.float64]


def cost(labels: NDArray[np.bool_], scores: Scores, threshold: float) -> float:
    """Of all photos, in false retakes."""
    counts = confusion(labels, scores, threshold)
    return FALSE_ACCEPT_COST * counts["false_accept"] + FALSE_RETAKE_COST * counts["false_retake"]


def cheapest(labels: NDArray[np.bool_], scores: Scores) -> float:
    """The middle of the interval of the lowest cost; of several the nearest to one half."""
    values = np.unique(np.concatenate([[0.0, 1.0], scores]))
    middles = (values[:-1] + values[1:]) / 2
    others, plants = np.sort(scores[~labels]), np.sort(scores[labels])
    accepts = len(others) - np.searchsorted(others, middles)
    costs = FALSE_ACCEPT_COST * accepts + FALSE_RETAKE_COST * np.searchsorted(plants, middles)
    best = middles[costs == costs.min()]
    return float(best[np.argmin(np.abs(best - 0.5))])


RULES = (
    "cheapest on validation",
    "flat 0.5",
    "flat 0.75 (Bayes)",
    "within the noise, towards Bayes",
    "calibrated, flat 0.75",
    "calibrated, within the noise (`train`)",
)
BEST = "best possible"


def chosen_by_rules(labels: NDArray[np.bool_], val: Scores, test: Scores) -> dict[str, float]:
    """What each rule makes of validation photos, on the scale of the scores before calibration.

    Args:
        labels: of the validation photos.
        val: P(plant) of them.
        test: P(plant) of the photos that are to be judged.
    """
    fitted = fit_calibration(labels, val)
    calibrated = fitted.apply(test)

    def before(threshold: float) -> float:
        """The threshold that accepts the same photos before calibration."""
        return float(np.min(test[calibrated >= threshold], initial=2.0))

    chosen = choose_threshold(labels, fitted.apply(val)).threshold
    found = (
        cheapest(labels, val),
        0.5,
        BAYES,
        choose_threshold(labels, val).threshold,
        before(BAYES),
        before(chosen),
    )
    return dict(zip(RULES, found, strict=True))


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


def measured(
    photos: Embedded, others: int, draws: int, half: bool, heads: Sequence[float]
) -> dict[str, list[list[float]]]:
    """Cost and false accepts on the test photos of every rule, draw and head."""
    test = photos.part(photos.split == "test")
    found: dict[str, list[list[float]]] = defaultdict(list)
    for train, val in collections(photos, others, draws, half):
        centre, scale = train.embedding.mean(axis=0), train.embedding.std(axis=0) + 1e-6
        inputs = {
            name: (part.embedding - centre) / scale
            for name, part in (("train", train), ("val", val), ("test", test))
        }
        # The weights of a ridge lie in the span of the photos: the same head, of fewer numbers.
        span = np.linalg.svd(inputs["train"], full_matrices=False)[2].T
        inputs = {name: x @ span for name, x in inputs.items()}
        for strength in heads:
            head = LogisticRegression(C=strength, max_iter=200)
            head.fit(inputs["train"], train.plant)
            scores = {name: head.predict_proba(inputs[name])[:, 1] for name in ("val", "test")}
            rules = chosen_by_rules(val.plant, scores["val"], scores["test"])
            rules[BEST] = cheapest(test.plant, scores["test"])
            for name, threshold in rules.items():
                counts = confusion(test.plant, scores["test"], threshold)
                found[name].append(
                    [cost(test.plant, scores["test"], threshold), counts["false_accept"]]
                )
    return found


def table(photos: Embedded, draws: int, half: bool, heads: Sequence[float]) -> str:
    """Mean cost by rule and number of others, with the most false accepts that ever were."""
    every = {others: measured(photos, others, draws, half, heads) for others in OTHERS}
    header = ["rule", *(f"{others} others" for others in OTHERS)]
    rows = []
    for name in (*RULES, BEST):
        cells = []
        for others in OTHERS:
            costs, accepts = np.array(every[others][name]).T
            error = costs.reshape(draws, -1).mean(axis=1).std(ddof=1) / np.sqrt(draws)
            cells.append(f"{costs.mean():.1f} ± {error:.1f} ({accepts.max():.0f})")
        rows.append([name, *cells])
    return markdown(header, rows)


@click.command()
@click.option("--draws", default=20, show_default=True, help="Collections of each size.")
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE / "embeddings")
@click.option("--write", type=click.Path(path_type=Path), help="Document to write the table into.")
def main(draws: int, cache: Path, write: Path | None) -> None:
    """Count what rules for the threshold cost."""
    photos = embedded_public(cache)
    test = photos.part(photos.split == "test")
    text = (
        f"Mean cost on {int(test.plant.sum())} plants and {int((~test.plant).sum())} others of the "
        f"test split, a false accept at {FALSE_ACCEPT_COST:g}, with its standard error over the "
        f"draws; in brackets, the most others accepted in any of {draws} draws with two heads "
        "each. By others in validation, with as many plants, drawn from all sources; heads that "
        "fit their photos closely:\n\n"
        + table(photos, draws, half=False, heads=SURE)
        + "\n\nHeads that are held back (strong weight decay), and so say 0.6 of what is "
        "certain:\n\n"
        + table(photos, draws, half=False, heads=SHY)
        + "\n\nDrawn from half of the sources, so that half of those in the test split are new; "
        "heads that fit their photos closely:\n\n" + table(photos, draws, half=True, heads=SURE)
    )
    click.echo(text)
    if write is not None:
        write_between_markers(write, "thresholds", text)


if __name__ == "__main__":
    main()
