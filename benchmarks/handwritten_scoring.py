"""The scoring of a folder that a user would write by hand: what mining is measured against.

    python -m benchmarks.handwritten_scoring model.keras photos/ scores.csv

`keras.utils.image_dataset_from_directory`, which decodes on all cores beside the network, and
`keras.Model.predict`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click

from plantood.training.process.quiet import import_tensorflow

BATCH = 32


@click.command(help=__doc__)
@click.argument("model", type=click.Path(exists=True))
@click.argument("photos", type=click.Path(exists=True))
@click.argument("out", type=click.Path(path_type=Path))
def main(model: str, photos: str, out: Path) -> None:
    """Write path and P(plant) of every photo, the lowest first."""
    import_tensorflow()
    import keras
    import tensorflow as tf

    network = keras.models.load_model(model, compile=False)
    images = keras.utils.image_dataset_from_directory(
        photos,
        labels=None,
        batch_size=BATCH,
        image_size=network.input_shape[1:3],
        shuffle=False,
        verbose=False,
    )
    batches = images.map(lambda batch: tf.cast(batch, network.input.dtype))
    scores = network.predict(batches.prefetch(tf.data.AUTOTUNE), verbose=0).reshape(-1).tolist()
    with out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "plant_probability"])
        rows.writerows(sorted(zip(images.file_paths, scores, strict=True), key=lambda row: row[1]))


if __name__ == "__main__":
    main()
