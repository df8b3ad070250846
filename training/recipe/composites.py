"""Plants cut from one place and pasted in another, so that no background gives the label away.

Copy-paste (Ghiasi et al. 2021, *Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation*, CVPR): a leaf of one source on the ground of another is *plant*; the very
same ground without it, or with a leaf-shaped piece of something else, is *other*. So neither the
ground nor the seam of the cut tells them apart.

Photos are uint8 RGB ``[height, width, 3]``, cut-outs uint8 RGBA with their long axis horizontal,
results uint8 RGB ``[SIDE, SIDE, 3]``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plantood.training.photos.augment import SIDE, Photo, fit, to_bytes
from plantood.training.photos.vegetation import Mask

CutOut = NDArray[np.uint8]
"""RGBA, ``[height, width, 4]``; alpha is 0 where nothing stands."""

MIN_COVER, MAX_COVER = 0.05, 0.60
"""Share of the frame that a pasted plant may cover; with less there is nothing to diagnose."""


def cut_out(photo: Photo, mask: Mask) -> CutOut | None:
    """What stands under the mask, turned so that its long axis lies flat; None if it is no cut."""
    cover = float(mask.mean())
    if not 0.04 < cover < 0.92:
        return None
    ys, xs = np.nonzero(mask)
    spread = np.cov(np.stack([xs, ys]))
    values, vectors = np.linalg.eigh(spread)
    long_x, long_y = vectors[:, int(np.argmax(values))]
    soft = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MinFilter(3))
    soft = soft.filter(ImageFilter.GaussianBlur(0.8))
    picture = Image.fromarray(np.dstack([photo, np.asarray(soft)]))
    angle = float(np.degrees(np.arctan2(long_y, long_x)))
    picture = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 100)).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 12:
        return None
    return np.asarray(picture.crop(box))


def texture_leaf(texture: Photo, shape: CutOut, rng: Generator) -> CutOut:
    """The outline of ``shape`` filled with a piece of ``texture``: a seam without a plant."""
    height, width = shape.shape[:2]
    piece = crop_ground(texture, rng)
    filled = Image.fromarray(piece).resize((width, height), Image.Resampling.BILINEAR)
    return np.dstack([np.asarray(filled), shape[..., 3]])


def crop_ground(photo: Photo, rng: Generator) -> Photo:
    """A random window of the photo, turned by quarters and mirrored, at ``[SIDE, SIDE, 3]``."""
    window = photo[random_window(photo.shape, rng.uniform(0.45, 1.0), rng, least=16)]
    if rng.random() < 0.5:
        window = window[:, ::-1]
    return np.ascontiguousarray(fit(np.ascontiguousarray(np.rot90(window, int(rng.integers(4))))))


def random_window(
    shape: tuple[int, ...], share: float, rng: Generator, *, least: int = 1
) -> tuple[slice, slice]:
    """Rows and columns of a window somewhere in a photo; never empty, however small the photo is.

    Args:
        shape: of the photo: height, width and whatever else.
        share: of either side, 0..1.
        rng: draws the place.
        least: pixels of either side where the photo has so many.
    """
    height, width = shape[:2]
    h, w = (min(side, max(least, int(side * share))) for side in (height, width))
    top, left = (int(rng.integers(0, room + 1)) for room in (height - h, width - w))
    return slice(top, top + h), slice(left, left + w)


def recolour_ground(photo: Photo, rng: Generator) -> Photo:
    """Soil of other fields: red laterite, dark and wet, bright sand, or as it is."""
    gains = {
        "as it is": (1.0, 1.0, 1.0),
        "red": (1.25, 0.85, 0.62),
        "dark": (0.50, 0.46, 0.42),
        "sand": (1.35, 1.25, 1.05),
        "brown": (1.10, 0.92, 0.70),
    }
    gain = np.array(list(gains.values()))[rng.integers(len(gains))]
    return to_bytes(photo * gain * np.exp(rng.normal(0.0, 0.08, 3)))


def compose(
    ground: Photo, cutouts: Sequence[CutOut], rng: Generator, *, extra: CutOut | None = None
) -> Photo:
    """``cutouts`` on ``ground``: one, a few apart, or a rosette; ``extra`` at the edge if given.

    ``extra`` is what else lies in a farmer's frame: a hand, a shoe, a card.
    """
    canvas = Image.fromarray(fit(ground)).convert("RGBA")
    if extra is not None:
        _paste_at_edge(canvas, extra, rng)
    cover = float(np.exp(rng.uniform(np.log(MIN_COVER), np.log(MAX_COVER))))
    draw = rng.random()
    if draw < 0.35 or len(cutouts) == 1:
        layer = _spread(cutouts[:1], cover, rng)
    elif draw < 0.75:
        layer = _rosette(cutouts, cover, rng)
    else:
        layer = _spread(cutouts, cover, rng)
    _shadow(canvas, layer, rng)
    canvas.alpha_composite(layer)
    return np.asarray(canvas.convert("RGB"))


def _spread(cutouts: Sequence[CutOut], cover: float, rng: Generator) -> Image.Image:
    """Each cut-out somewhere, together covering about ``cover`` of the frame."""
    layer = Image.new("RGBA", (SIDE, SIDE))
    for cutout in cutouts:
        area = cover * SIDE * SIDE / len(cutouts)
        piece = _scaled(cutout, area).rotate(
            rng.uniform(0, 360), Image.Resampling.BILINEAR, expand=True
        )
        offset = rng.normal(0.0, 0.13 if len(cutouts) == 1 else 0.25, 2).clip(-0.45, 0.45)
        x, y = (0.5 + offset) * SIDE - np.array(piece.size) / 2
        _overlay(layer, piece, int(x), int(y))
    return layer


def _rosette(cutouts: Sequence[CutOut], cover: float, rng: Generator) -> Image.Image:
    """Leaves around one point, as a plant looks from above; often long ones, as of maize."""
    layer = Image.new("RGBA", (SIDE, SIDE))
    count = int(rng.integers(3, 10))
    centre = (0.5 + rng.normal(0.0, 0.1, 2).clip(-0.3, 0.3)) * SIDE
    slender = rng.random() < 0.6
    start = rng.uniform(0, 2 * np.pi)
    area = 1.25 * cover * SIDE * SIDE / count  # they overlap
    for k in range(count):
        leaf = cutouts[int(rng.integers(len(cutouts)))]
        if slender:
            leaf = lance(leaf, aspect=rng.uniform(4.0, 9.0))
        piece = _scaled(leaf, area * np.exp(rng.normal(0.0, 0.3)))
        angle = start + 2 * np.pi * k / count + rng.normal(0.0, 0.25)
        reach = piece.size[0] * 0.48
        middle = centre + reach * np.array([np.cos(angle), -np.sin(angle)])
        piece = piece.rotate(np.degrees(angle), Image.Resampling.BILINEAR, expand=True)
        x, y = middle - np.array(piece.size) / 2
        _overlay(layer, piece, int(x), int(y))
    return layer


def lance(cutout: CutOut, aspect: float) -> CutOut:
    """The cut-out as a long blade that tapers to both ends, ``aspect`` times as long as wide."""
    width = 160
    height = max(10, int(width / aspect))
    blade = np.asarray(
        Image.fromarray(cutout).resize((width, height), Image.Resampling.BILINEAR)
    ).copy()
    along = (np.arange(width) + 0.5) / width
    half = 0.5 * (4.0 * along * (1.0 - along)) ** 0.6
    across = np.abs((np.arange(height) + 0.5) / height - 0.5)
    blade[..., 3] = np.where(across[:, None] < half[None, :], blade[..., 3], 0)
    return blade


def _scaled(cutout: CutOut, area: float) -> Image.Image:
    """The cut-out resized so that it covers ``area`` pixels, at most 1.6 frames long."""
    covered = max(1.0, float((cutout[..., 3] > 100).sum()))
    factor = min(np.sqrt(area / covered), 1.6 * SIDE / max(cutout.shape[:2]))
    height, width = cutout.shape[:2]
    size = (max(4, int(width * factor)), max(4, int(height * factor)))
    return Image.fromarray(cutout).resize(size, Image.Resampling.BILINEAR)


def _overlay(layer: Image.Image, piece: Image.Image, x: int, y: int) -> None:
    """``alpha_composite`` that lets the piece hang over the edge."""
    sheet = Image.new("RGBA", layer.size)
    sheet.paste(piece, (x, y))
    layer.alpha_composite(sheet)


def _shadow(canvas: Image.Image, layer: Image.Image, rng: Generator) -> None:
    """The shadow that the pasted things throw: shifted, blurred, of some strength or none."""
    strength = rng.uniform(0.0, 0.65)
    dx, dy = rng.integers(-9, 10, 2).tolist()
    alpha = layer.getchannel("A").filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 5.0)))
    alpha = alpha.point(lambda value: int(value * strength))
    dark = Image.new("RGBA", canvas.size)
    dark.paste(Image.new("RGBA", canvas.size, (0, 0, 0, 255)), (dx, dy))
    shifted = Image.new("L", canvas.size)
    shifted.paste(alpha, (dx, dy))
    dark.putalpha(shifted)
    canvas.alpha_composite(dark)


def _paste_at_edge(canvas: Image.Image, extra: CutOut, rng: Generator) -> None:
    """Something that reaches in from the edge and covers up to a quarter of the frame."""
    piece = _scaled(extra, rng.uniform(0.06, 0.25) * SIDE * SIDE)
    piece = piece.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR, expand=True)
    angle = rng.uniform(0, 2 * np.pi)
    x, y = (0.5 + 0.5 * np.array([np.cos(angle), np.sin(angle)])) * SIDE
    _overlay(canvas, piece, int(x - piece.size[0] / 2), int(y - piece.size[1] / 2))
