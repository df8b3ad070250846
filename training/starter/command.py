"""``plantood starter``: what it asks for and what it prints."""

from __future__ import annotations

from pathlib import Path

import click

from plantood.errors import WeightsUnavailable
from plantood.model.starter import starter_dir
from plantood.training.common.options import data_argument
from plantood.training.common.parameters import FILE, FOLDER, SEED
from plantood.training.common.settings import CACHE
from plantood.training.common.shared import VARIABLE, shared_dir
from plantood.training.process.quiet import import_tensorflow

ENTRY = starter_dir()
WEIGHTS = Path("weights", "efficientnet_lite0_224_imagenet_notop.weights.h5")


@click.command()
@data_argument
@click.option(
    "--weights",
    type=FILE,
    help="ImageNet weights of EfficientNet-Lite0.  [default: those in the shared folder]",
)
@click.option(
    "--out",
    type=FOLDER,
    default=ENTRY,
    help="Of the entry.  [default: plantood/model/starter/gate]",
)
@click.option("--cache", type=FOLDER, default=CACHE, show_default=True)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option(
    "--table-into", type=FILE, help="As for train; a picture of the calibration is put beside it."
)
def starter(  # noqa: PLR0917 (click calls it by name)
    data: Path, weights: Path | None, out: Path, cache: Path, seed: int, table_into: Path | None
) -> None:
    """Train the gate that ships in the package, and measure how it transfers.

    DATA is the manifest of the public photos from which its recipe cuts leaves and grounds; for
    your own photos use train. Interrupted, it goes on where it was.
    """
    import_tensorflow()
    from plantood.training.common.output import print_results, write_table
    from plantood.training.common.tables import console_table, markdown
    from plantood.training.starter.reliability import draw_reliability, picture_beside
    from plantood.training.starter.train import train_starter

    if weights is None:
        shared = shared_dir()
        if shared is None:
            raise WeightsUnavailable(
                "There is no shared folder with pretrained weights; give --weights FILE, or name "
                f"the folder in {VARIABLE}."
            )
        weights = shared / WEIGHTS
    header, rows, unseen = train_starter(data, weights, out, cache=cache, seed=seed)
    print_results(console_table("Sources never seen", header, rows), f"Written: {out}")
    if table_into is not None:
        paragraph = draw_reliability(unseen, picture_beside(table_into))
        write_table(table_into, None, "starter", f"{markdown(header, rows)}\n\n{paragraph}")
