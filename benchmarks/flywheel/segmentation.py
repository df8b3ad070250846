"""Is there really no plant in windows of bare soil? Measured by masks of the vegetation.

    python -m benchmarks.flywheel.segmentation --write docs/flywheel.md

The field photos (CWFID, Haug and Ostermann 2015) come with masks drawn by people. A window is right
if the mask has no pixel of a plant in it; a few lost pixels at its border are told apart. The
limits of the check for leaves were set on these photos, so this is how well they can be set, not
how well they do on another camera.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image

from benchmarks.flywheel.bench import field_photos, write_option, write_result
from plantood.training.common.intervals import mean, share
from plantood.training.common.tables import markdown
from plantood.training.negatives.soil import bare_windows, ground_vegetation
from plantood.training.negatives.windows import Square
from plantood.training.photos.vegetation import Mask
from plantood.training.process.parallel import map_in_order

SIDES = (128, 160, 224)
SPECK = 0.0005
"""Share of a window that may be specks: the limit of the check for leaves, by the masks."""


def read(photo: Path) -> tuple[np.ndarray, Mask]:
    """A field photo, uint8 ``[H, W, 3]``, and where its mask has plants, ``[H, W]``."""
    mask = photo.with_name(photo.name.replace("_image.jpg", "_mask.png"))
    with Image.open(photo) as opened, Image.open(mask) as drawn:
        return np.asarray(opened.convert("RGB")), np.asarray(drawn.convert("L")) == 0


def cut(photo: Path) -> dict[int, list[tuple[float, str]]]:
    """By smallest side, each proposed window: share of plant in it, why it was refused."""
    pixels, plant = read(photo)
    found = {}
    for side in SIDES:
        windows = bare_windows(pixels, least_side=side, at_most=1000)
        kept = [(window, "") for window in windows.accepted]
        refused = [(one.square, one.reason) for one in windows.refused]
        found[side] = [(_share(plant, window), reason) for window, reason in kept + refused]
    return found


def _share(plant: Mask, window: Square) -> float:
    return float(plant[window.place].mean())


@click.command(help=__doc__)
@write_option
def main(write: Path | None) -> None:
    """Cut all field photos, print the tables, and write them between their markers."""
    photos = field_photos()
    found = list(map_in_order(cut, photos))
    rows = []
    for side in SIDES:
        windows = [window for by_side in found for window in by_side[side]]
        kept = [part for part, reason in windows if not reason]
        proposed = kept + [part for part, reason in windows if "leaves" in reason]
        rows.append(
            [
                str(side),
                str(len(proposed)),
                _clean(proposed, 0.0),
                str(len(kept)),
                _clean(kept, 0.0),
                _clean(kept, SPECK),
                f"{max(kept):.3%}",
            ]
        )
    header = [
        "smallest side",
        "windows proposed",
        "without a plant pixel",
        "after the check for leaves",
        "without a plant pixel",
        f"with at most {SPECK:.2%}",
        "most in one",
    ]
    pixels = np.array(list(map_in_order(_pixels, photos)))
    text = (
        f"{markdown(header, rows)}\n\nThe vegetation mask itself, by pixels, mean of "
        f"{len(photos)} photos: precision {mean(pixels[:, 0])}, recall {mean(pixels[:, 1])}.\n"
    )
    write_result(write, "flywheel-segmentation", "segmentation", text)


def _clean(parts: list[float], limit: float) -> str:
    right = sum(part <= limit for part in parts)
    return f"{share(right, len(parts))}, {len(parts) - right} wrong"


def _pixels(photo: Path) -> tuple[float, float]:
    """Precision and recall of the vegetation mask of one photo."""
    pixels, plant = read(photo)
    mask, _ = ground_vegetation(pixels)
    both = float((mask & plant).sum())
    return both / max(1, int(mask.sum())), both / max(1, int(plant.sum()))


if __name__ == "__main__":
    main()
