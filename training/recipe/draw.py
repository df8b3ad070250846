"""The pixels of a sample: uint8 RGB ``[SIDE, SIDE, 3]``, a function of it and of how to cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image

from plantood.photo.images import load_image
from plantood.training.negatives import synthetic
from plantood.training.photos.augment import (
    Photo,
    augmented,
    brighten,
    fit,
    paint_green,
    split_tone,
)
from plantood.training.photos.vegetation import (
    excess_green,
    table_leaf_mask,
    vegetation_mask,
)
from plantood.training.recipe import composites
from plantood.training.recipe.composites import CutOut
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import Sample

MIN_LIGHT = 30.0
"""Mean of the darkest picture that still counts as a plant, 0..255."""


def draw_picture(sample: Sample, cuts: Cuts) -> Photo:
    """The picture of a sample: uint8 RGB ``[SIDE, SIDE, 3]``.

    Args:
        sample: what to draw.
        cuts: how its photos are cut.

    Raises:
        UnreadablePhoto: if one of its photos is none.
    """
    if sample.kind == "photo":
        return fit(load(sample.photos[0]))
    rng = np.random.default_rng(sample.seed)
    if sample.kind in synthetic.FRAMES:
        return augmented(synthetic.FRAMES[sample.kind](rng), rng, geometry=False)
    picture = _DRAW[sample.kind](sample, cuts, rng)
    return brighten(picture, MIN_LIGHT) if sample.plant else picture


def load(path: Path) -> Photo:
    """The photo as uint8 RGB ``[height, width, 3]``, upright, large ones reduced."""
    return load_image(path).pixels


def bare_window(photo: Photo, rng: Generator, tries: int = 60) -> Photo:
    """The window between the plants with the least green of ``tries`` random ones.

    Returns ``[SIDE, SIDE, 3]``; windows are a quarter to a half of the photo's side.
    """
    return composites.crop_ground(_greenest(photo, rng, tries, (0.25, 0.5), -1.0), rng)


def leaf_window(photo: Photo, rng: Generator, tries: int = 25) -> Photo:
    """The window with the most green of ``tries`` random ones: a leaf that fills the frame.

    Returns ``[SIDE, SIDE, 3]``; windows are 0.4 to 0.75 of the photo's side, as nearer is unfit.
    """
    return fit(_greenest(photo, rng, tries, (0.4, 0.75), 1.0))


def _greenest(
    photo: Photo, rng: Generator, tries: int, shares: tuple[float, float], sign: float
) -> Photo:
    """Of random windows the one with the most (``sign`` 1) or the least (-1) excess green."""
    green = (excess_green(photo) > 0.05).astype(np.float32)
    best, most = photo, -np.inf
    for _ in range(tries):
        window = composites.random_window(green.shape, rng.uniform(*shares), rng)
        found = sign * float(green[window].mean())
        if found > most:
            best, most = photo[window], found
    return np.ascontiguousarray(best)


def _copy(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    return augmented(load(sample.photos[0]), rng)


def _toned(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    return split_tone(_copy(sample, cuts, rng), rng)


def _closeup(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    return augmented(leaf_window(load(sample.photos[0]), rng), rng)


def _green(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    return augmented(paint_green(load(sample.photos[0]), rng), rng)


def _window(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    ground = bare_window(load(sample.photos[0]), rng)
    return augmented(composites.recolour_ground(ground, rng), rng, geometry=False)


def _bare_ground(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    ground = _ground(sample.photos[0], cuts, rng)
    if rng.random() < 0.65:
        picture = split_tone(augmented(ground, rng), rng)
    else:
        picture = augmented(composites.recolour_ground(ground, rng), rng)
    return brighten(picture, rng.uniform(MIN_LIGHT, 3.0 * MIN_LIGHT))


def _planted(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    leaves = _cut_out(sample.photos, cuts)
    if not leaves:  # no leaf could be cut: an honest copy of the plant's photo instead
        return _copy(sample, cuts, rng)
    picture = composites.compose(_below(sample, cuts, rng), leaves, rng, extra=_extra(sample, rng))
    return augmented(picture, rng, geometry=False)


def _planted_toned(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    return split_tone(_planted(sample, cuts, rng), rng)


def _bare(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    picture, extra = _below(sample, cuts, rng), _extra(sample, rng)
    if extra is not None:
        picture = composites.compose(picture, [extra], rng)
    return augmented(picture, rng, geometry=False)


def _seam(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    picture, texture = _below(sample, cuts, rng), load(sample.photos[-1])
    if sample.kind == "green_seam":
        texture = paint_green(texture, rng)
    leaves = _cut_out(sample.photos[:-1], cuts)
    if leaves:
        pieces = [composites.texture_leaf(texture, cut, rng) for cut in leaves]
        picture = composites.compose(picture, pieces, rng)
    return augmented(picture, rng, geometry=False)


_DRAW: dict[str, Callable[[Sample, Cuts, Generator], Photo]] = {
    "copy": _copy,
    "toned": _toned,
    "closeup": _closeup,
    "green": _green,
    "window": _window,
    "ground": _bare_ground,
    "planted": _planted,
    "planted_toned": _planted_toned,
    "bare": _bare,
    "seam": _seam,
    "green_seam": _seam,
}


def _below(sample: Sample, cuts: Cuts, rng: Generator) -> Photo:
    """The ground of a composite: of its photo, or a drawn floor or wall."""
    if sample.ground is not None:
        ground = _ground(sample.ground, cuts, rng)
        return composites.recolour_ground(ground, rng) if rng.random() < 0.6 else ground
    return synthetic.FRAMES["floor" if rng.random() < 0.7 else "plain_wall"](rng)


def _ground(path: Path, cuts: Cuts, rng: Generator) -> Photo:
    """A window of a photo of ground; between the plants if plants stand on it."""
    photo = load(path)
    if path in cuts.between:
        return bare_window(photo, rng)
    return composites.crop_ground(photo, rng)


def _extra(sample: Sample, rng: Generator) -> CutOut | None:
    """A hand, a piece of clothing, or instead of it a card with print on it."""
    if sample.extra is None:
        return None
    if rng.random() < 0.3:
        card = np.asarray(Image.fromarray(synthetic.document(rng)).resize((120, 80)))
        return np.dstack([card, np.full(card.shape[:2], 255, np.uint8)])
    photo = load(sample.extra)
    return composites.cut_out(photo, table_leaf_mask(photo))


def _cut_out(paths: Sequence[Path], cuts: Cuts) -> list[CutOut]:
    """The plants of some photos, but for those of which no clean cut is possible."""
    found = (_plant(path, green=path in cuts.green) for path in paths)
    return [plant for plant in found if plant is not None]


@lru_cache(maxsize=4096)
def _plant(path: Path, *, green: bool) -> CutOut | None:
    """The plant of a photo, cut out once; None where no clean cut is possible."""
    photo = fit(load(path))
    return composites.cut_out(photo, vegetation_mask(photo) if green else table_leaf_mask(photo))
