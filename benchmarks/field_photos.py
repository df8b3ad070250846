"""The starter gate on photos of a field that it was never trained on.

    python -m benchmarks.field_photos --write docs/starter.md

Seedlings in rows on bare soil, from above, with masks of their vegetation (CWFID, Haug and
Ostermann 2015, research use): whole photos and windows with vegetation should be accepted,
windows without any should not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

from plantood.judging.gate import Gate
from plantood.model.entry import open_gate
from plantood.model.starter import starter_dir
from plantood.training.common.intervals import share
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers

SIDES, STEP = (256, 320), 64
BARE_PER_PHOTO, MIN_VEGETATION = 8, 0.10
Kinds = dict[str, list[np.ndarray]]


def windows(photo: np.ndarray, plant: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Square windows of a photo ``[H, W, 3]`` with the share of ``plant`` ``[H, W]`` in them."""
    height, width = plant.shape
    for side in SIDES:
        for top in range(0, height - side + 1, STEP):
            for left in range(0, width - side + 1, STEP):
                place = np.s_[top : top + side, left : left + side]
                yield float(plant[place].mean()), photo[place]


def kinds_of_photos(folder: Path) -> Kinds:
    """Whole photos, windows with vegetation, and windows without any."""
    kinds: Kinds = {"whole photos": [], "windows with plants": [], "windows of bare soil": []}
    for path in sorted(folder.glob("*_image.jpg")):
        photo = np.asarray(Image.open(path).convert("RGB"))
        mask = Image.open(path.with_name(path.name.replace("_image.jpg", "_mask.png")))
        plant = np.asarray(mask.convert("L")) == 0
        kinds["whole photos"].append(photo)
        cut = list(windows(photo, plant))
        kinds["windows of bare soil"] += [w for share, w in cut if share == 0][:BARE_PER_PHOTO]
        kinds["windows with plants"] += [w for share, w in cut[::7] if share > MIN_VEGETATION]
    return kinds


@click.command(help=__doc__)
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(write: Path | None) -> None:
    """Judge all of them, print the table, and write it between its markers."""
    shared = shared_dir()
    if shared is None:
        raise click.ClickException("the field photos are not on this machine")
    gate = Gate(open_gate(starter_dir()))
    rows = []
    for kind, photos in kinds_of_photos(shared / "data" / "field").items():
        accepted = sum(verdict.accepted for verdict in gate.check_many(photos))
        rows.append([kind, str(len(photos)), share(accepted, len(photos))])
    text = markdown(["never trained on", "number", "accepted"], rows)
    click.echo(text)
    if write:
        command = "```console\n$ python -m benchmarks.field_photos --write docs/starter.md\n```\n\n"
        write_between_markers(write, "field-photos", command + text)


if __name__ == "__main__":
    main()
