"""Both directions of the weighted loss on the same data: false accepts and false retakes of each.

    python -m benchmarks.flywheel.losses --write docs/flywheel.md

The parent learns from what both rounds found (production photos with P(plant) <= 0.6 as a reviewer
labels them, and field photos with windows of soil) with each loss and several seeds. Sources never
seen are those of bare ground, and two of plants. At 0.5 it shows what the loss does; at the
threshold that is chosen for a false accept that costs three false retakes, what is left of it.
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
    write_option,
    write_result,
)
from plantood.training.common.settings import LOSSES
from plantood.training.common.tables import markdown
from plantood.training.judging.evaluation import Evaluation
from plantood.training.process.determinism import make_deterministic

UNSEEN = (*BARE_GROUND, "maize_plantvillage", "rice_leaf")
SPLITS = {"test": "test", "left out": "sources never seen"}


@click.command(help=__doc__)
@folder_option
@click.option("--seeds", default=3, show_default=True)
@write_option
def main(folder: Path, seeds: int, write: Path | None) -> None:
    """Train all of them, print the table, and write it between its markers."""
    make_deterministic(0)
    bench = Bench(folder)
    parent = bench.parent(UNSEEN)
    pool = [photo for photo in bench.production if photo.source not in UNSEEN]
    p = bench.judged(parent, pool)
    new = [photo for photo, at in zip(pool, p, strict=True) if at <= AT_MOST]
    new += bench.soil
    header = ["loss", "weights (accept, retake)", "threshold"]
    for name in SPLITS.values():
        header += [f"false accepts, {name}", f"false retakes, {name}"]
    rows = []
    before: Evaluation | None = None
    for loss, by_loss in LOSSES.items():
        children = []
        for seed in range(seeds):
            settings = replace(CHILD, loss=loss, seed=seed)
            before, child, _ = bench.child(parent, new, f"losses/{loss}-{seed}", settings)
            children.append(child)
        if not rows:
            rows.append(_row("before", "", [before], None))
        shown = f"{by_loss[0]:g}, {by_loss[1]:g}"
        rows += [_row(loss, shown, children, 0.5), _row(loss, shown, children, None)]
    text = f"Mean of {seeds} seeds, and each.\n\n{markdown(header, rows)}\n"
    write_result(write, "flywheel-losses", "losses", text)


def _row(name: str, weights: str, children: list[Evaluation], threshold: float | None) -> list[str]:
    chosen = "/".join(f"{child.threshold:.2f}" for child in children)
    row = [name, weights, f"{threshold:g}" if threshold else f"chosen: {chosen}"]
    for split in SPLITS:
        labels = children[0].splits[split].labels
        counts = np.array([errors(child, split, threshold) for child in children])
        for error, of in enumerate((int(np.sum(labels == 0)), int(np.sum(labels == 1)))):
            each = "/".join(map(str, counts[:, error]))
            row.append(f"{counts[:, error].mean():.1f} ({each}) of {of}" if of else "-")
    return row


if __name__ == "__main__":
    main()
