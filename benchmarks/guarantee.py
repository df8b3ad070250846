"""How often a promised bound on false accepts is broken, and what it costs.

    python -m benchmarks.guarantee --cache runs/cache/embeddings --write docs/train.md

All labelled photos of the shared manifest, as the starter scores them, are the world: so it is
known how many of all its others a threshold accepts. Photos are drawn from it again and again; a
threshold is chosen on each draw with ``--max-false-accept``, and, as one would by hand, the lowest
at which the share of accepted others in the draw itself is within the bound.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.embedded import embedded_public
from plantood.model.parts.calibration import sigmoid
from plantood.training.common.intervals import share
from plantood.training.common.settings import CACHE
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.judging.decision.guarantee import guaranteed_threshold

CONFIDENCE = 0.95
PLANTS = 300
ASKED = ((300, 0.01), (1000, 0.01), (3000, 0.01), (300, 0.03), (1000, 0.03), (3000, 0.03))
"""Others drawn, and the bound."""
Scores = NDArray[np.floating]


def by_hand(others: Scores, bound: float) -> float:
    """The lowest threshold that accepts at most this share of the others that are looked at."""
    allowed = int(bound * len(others))
    return float(np.nextafter(np.sort(others)[::-1][allowed], 2))


def row(plants: Scores, others: Scores, count: int, bound: float, draws: int) -> list[str]:
    """What became of so many draws."""
    rng = np.random.default_rng(count)
    promised = broken = hand = 0
    kept = []
    for _ in range(draws):
        drawn = rng.choice(others, count)
        scores = np.concatenate([drawn, rng.choice(plants, PLANTS)])
        labels = np.repeat([0, 1], [count, PLANTS])
        found = guaranteed_threshold(
            labels, scores, max_false_accept=bound, confidence=CONFIDENCE
        ).threshold
        hand += float(np.mean(others >= by_hand(drawn, bound))) > bound
        if found is not None:
            promised += 1
            broken += float(np.mean(others >= found)) > bound
            kept.append(float(np.mean(plants >= found)))
    return [
        f"{count:,}",
        f"{bound:.0%}",
        share(promised, draws),
        share(broken, draws),
        share(hand, draws),
        "{:.1%} ({:.1f} to {:.1f})".format(np.mean(kept), *np.percentile(kept, (2.5, 97.5)) * 100)
        if kept
        else "-",
    ]


@click.command(help=__doc__)
@click.option("--draws", default=2000, show_default=True, help="Of each row.")
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE / "embeddings")
@click.option("--write", type=click.Path(path_type=Path), help="Document to write the table into.")
def main(draws: int, cache: Path, write: Path | None) -> None:
    """Draw, choose, count, and write the table between its markers."""
    photos = embedded_public(cache)
    scores = sigmoid(photos.logit)
    plants, others = scores[photos.plant], scores[~photos.plant]
    header = ["others drawn", "bound", "draws that carry it", "bound broken"]
    header += ["broken by the share in the draw", "plants kept, mean"]
    rows = [row(plants, others, *asked, draws) for asked in ASKED]
    text = (
        f"{draws:,} draws a row from {len(others):,} others and {len(plants):,} plants; "
        f"{CONFIDENCE:.0%} sure means that at most {1 - CONFIDENCE:.0%} may break the bound.\n\n"
        + markdown(header, rows)
    )
    click.echo(text)
    if write is not None:
        write_between_markers(write, "guarantee", text)


if __name__ == "__main__":
    main()
