"""What the feature cache is worth: ten epochs of heads with it, and with the backbone inside.

Linear heads need no epochs, and have features to be fitted to or none at all: beside the others
stands how long they take.

    python -m benchmarks.feature_cache --write docs/measurements.md

The weights are random: they change no multiplication. In the loop, an epoch costs the same every
time, so a few are measured and the rest is a multiplication, which the table says.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from rich.console import Console

from plantood.training.common.settings import (
    BACKBONE_NAMES,
    LEARNING_RATES,
    LINEAR_HEADS,
    FitSettings,
)
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.process.quiet import import_tensorflow

EPOCHS = 10
VALIDATION = 0.15
console = Console(stderr=True)


def photos_for(count: int, folder: Path) -> tuple[list[Any], str]:
    """Scanned photos, and what they are: real ones from the shared folder, else generated."""
    from plantood.training.photos.data import LabelledPhoto, find_data
    from plantood.training.photos.scan import scan_photos

    shared = shared_dir()
    if shared:
        photos = [photo for photo in find_data(shared / "data/manifest.csv").photos if photo.split]
        step = max(1, len(photos) // count)
        chosen, what = photos[::step][:count], "real photos, longest side 256 pixels"
    else:
        rng = np.random.default_rng(0)
        chosen, what = [], "generated photos of 256x256 pixels"
        for number in range(count):
            path = folder / f"{number}.jpg"
            coarse = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((256, 256)).save(path)
            chosen.append(LabelledPhoto(path, number % 2, "generated"))
    return scan_photos(chosen, folder)[0], what


@click.command()
@click.option("--photos", default=512, show_default=True, help="Photos, validation included.")
@click.option("--backbone", type=click.Choice(BACKBONE_NAMES), default="resnet50")
@click.option(
    "--loop-epochs",
    type=click.IntRange(1, EPOCHS),
    default=1,
    show_default=True,
    help=f"Epochs measured with the backbone in the loop, of {EPOCHS}.",
)
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Document.")
def main(photos: int, backbone: str, loop_epochs: int, write: Path | None) -> None:
    """Measure, print the table, and write it between its markers."""
    import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        text = measure(photos, backbone, loop_epochs, Path(folder))
    click.echo(text)
    if write:
        command = f"`python -m benchmarks.feature_cache --write {write}`"
        write_between_markers(write, "feature-cache", f"{command}\n\n{text}")


def measure(count: int, backbone_name: str, loop_epochs: int, folder: Path) -> str:
    """The table, as Markdown."""
    from plantood.training.features.extractor import open_extractor
    from plantood.training.features.scoring import some_photos
    from plantood.training.fitting.phases import HeadTrainer
    from plantood.training.network.backbones import BACKBONES, build_backbone
    from plantood.training.photos.dataset import Dataset
    from plantood.training.process.determinism import make_deterministic

    make_deterministic(0)
    photos, what = photos_for(count, folder)
    held = max(1, round(len(photos) * VALIDATION))
    dataset = Dataset(train=tuple(photos[held:]), val=tuple(photos[:held]), test=())
    size = BACKBONES[backbone_name].input_size
    backbone = build_backbone(backbone_name, "none")
    began = time.perf_counter()
    check_images = some_photos(dataset.val, 8, size)
    cache = folder / "cache"
    cache.mkdir()
    extractor = open_extractor(backbone_name, backbone, cache, check_images)
    extractor.cache.fill(dataset.photos, extractor.scorer.feature_map, size)
    computing = time.perf_counter() - began
    settings = FitSettings(epochs=EPOCHS, patience=EPOCHS, fine_tune_epochs=0)
    trainer = HeadTrainer(backbone, extractor.cache, dataset, settings, folder / "run")
    rows, totals = [], np.array([computing, 0.0])
    rows.append(["features, once", f"{computing:.1f} s", "-", ""])
    for head in LINEAR_HEADS:
        began = time.perf_counter()
        trainer.train(head)
        rows.append([f"{head}, no epochs", f"{time.perf_counter() - began:.1f} s", "-", ""])
    for head in LEARNING_RATES:
        began = time.perf_counter()
        trainer.train(head)
        cached = time.perf_counter() - began
        console.print(f"{head}, cached: {cached:.1f} s")
        in_loop = EPOCHS * _seconds_in_loop(trainer, head, loop_epochs)
        console.print(f"{head}, in the loop: {in_loop:.1f} s")
        totals += (cached, in_loop)
        rows.append([head, f"{cached:.1f} s", f"{in_loop:.1f} s", f"{in_loop / cached:.0f}"])
    cached, in_loop = totals
    both = f"{cached:.1f} s", f"{in_loop:.1f} s"
    rows.append(["**features and epochs**", *both, f"**{in_loop / cached:.1f}**"])
    table = markdown(["head", "cached", "backbone in the loop", "times faster"], rows)
    return (
        f"{EPOCHS} epochs of each head that is not linear on {len(dataset.train)} photos ({what}; "
        f"validation on {len(dataset.val)} more after every epoch), {backbone_name}. In the loop "
        f"{loop_epochs} epoch(s) were measured and multiplied.\n\n{table}\n"
    )


def _seconds_in_loop(trainer: Any, head: str, epochs: int) -> float:
    """Seconds of one epoch with the frozen backbone inside the model, photos read every time."""
    from plantood.training.fitting.fit import fit_model, optimizer_for
    from plantood.training.fitting.losses import WeightedBinaryCrossentropy
    from plantood.training.network.classifier import build_classifier, set_backbone_trainable
    from plantood.training.network.heads import build_head

    model = build_classifier(trainer.backbone, build_head(head, trainer.cache.shape))
    set_backbone_trainable(model, False)
    ends: list[float] = []
    first_step: list[float] = []

    def on_batch() -> None:
        if not first_step:  # the first step compiles; that is paid once, not in every epoch
            first_step.append(time.perf_counter() - began)

    began = time.perf_counter()
    fit_model(
        model,
        trainer.photo_batches(trainer.dataset.train, training=True),
        trainer.photo_batches(trainer.dataset.val),
        loss=WeightedBinaryCrossentropy(1.0, 1.0),
        optimizer=optimizer_for(trainer.settings, LEARNING_RATES[head]),
        epochs=epochs,
        patience=epochs,
        on_batch=on_batch,
        on_epoch=lambda _: ends.append(time.perf_counter() - began),
    )
    steps = math.ceil(len(trainer.dataset.train) / trainer.settings.batch_size)
    # So one step is missing from the first epoch: it counts as long as the mean of the others.
    others = epochs * steps - 1
    measured = ends[-1] - first_step[0]
    return measured * (1 + 1 / others) / epochs if others else first_step[0]


if __name__ == "__main__":
    main()
