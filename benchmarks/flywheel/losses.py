"""Both directions of the weighted loss on the same data: false accepts and false retakes of each.

    python -m benchmarks.flywheel.losses --write docs/flywheel.md

The parent learns from what both rounds found (production photos with P(plant) <= 0.6 as a reviewer
labels them, and field photos with windows of soil) with each loss. Sources never seen are those of
bare ground, and two of plants. At 0.5 it shows what the loss does; at the threshold that is chosen
for a false accept that costs three false retakes, what is left of it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from benchmarks.flywheel.bench import (
    AT_MOST,
    BARE_GROUND,
    CHILD,
    Bench,
    errors,
    folder_option,
    mates,
    without,
    write_option,
    write_result,
)
from plantood.training.common.settings import LOSSES
from plantood.training.common.tables import errors as told
from plantood.training.common.tables import markdown
from plantood.training.judging.evaluation import Evaluation
from plantood.training.process.determinism import make_deterministic

UNSEEN = (*BARE_GROUND, "maize_plantvillage", "rice_leaf")
SPLITS = {"test": "test", "left out": "sources never seen"}


@click.command(help=__doc__)
@folder_option
@write_option
def main(folder: Path, write: Path | None) -> None:
    """Train all of them, print the table, and write it between its markers."""
    make_deterministic(0)
    bench = Bench(folder)
    parent = bench.parent(UNSEEN)
    pool = without(bench.production, mates(UNSEEN))
    p = bench.judged(parent, pool)
    new = [photo for photo, at in zip(pool, p, strict=True) if at <= AT_MOST]
    new += bench.soil
    header = ["loss", "weights (accept, retake)", "threshold"]
    for name in SPLITS.values():
        header += [f"false accepts, {name}", f"false retakes, {name}"]
    rows = []
    for loss, by_loss in LOSSES.items():
        before, child, _ = bench.child(parent, new, f"losses/{loss}", replace(CHILD, loss=loss))
        if not rows:
            rows.append(_row("before", "", before, None))
        weights = f"{by_loss[0]:g}, {by_loss[1]:g}"
        rows += [_row(loss, weights, child, 0.5), _row(loss, weights, child, None)]
    write_result(write, "flywheel-losses", "losses", f"{markdown(header, rows)}\n")


def _row(name: str, weights: str, child: Evaluation, threshold: float | None) -> list[str]:
    row = [name, weights, f"{threshold:g}" if threshold else f"chosen: {child.threshold:.2f}"]
    for split in SPLITS:
        labels = child.splits[split].labels
        found = errors(child, split, threshold)
        row += [
            told(wrong, int(np.sum(labels == label)))
            for wrong, label in zip(found, (0, 1), strict=True)
        ]
    return row


if __name__ == "__main__":
    main()
