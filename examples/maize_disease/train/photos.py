"""What training does to photos, uint8 RGB ``[S, S, 3]``: find twins, copy, change the ground."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]

TWINS = 0.7
"""Cosine similarity of two centred embeddings from which on two photos count as of the same leaf.
Chosen by eye: the collection photographs many leaves twice, shifted a little. Pairs above 0.8 are
all of one leaf, below 0.65 hardly any."""
BLACK = 10
"""Brightest channel of a black pixel; no natural shadow in these photos is as dark."""
CUT_OUT = 0.05
"""Share of black pixels from which on the ground of a photo counts as cut out."""
EDGE = 25
"""Brightest channel of the seam that JPEG leaves between a leaf and its black ground."""


def twins_of(
    embeddings: NDArray[np.float32], of: NDArray[np.bool_], similarity: float = TWINS
) -> NDArray[np.bool_]:
    """Which photos ``[N]`` show the same leaf as one of those marked in ``of`` ``[N]``.

    Args:
        embeddings: float32 ``[N, C]`` of all photos.
        of: The photos to compare with; they count as twins of themselves.
        similarity: From which on two photos count as of the same leaf.
    """
    centred = embeddings - embeddings.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    closest: NDArray[np.float32] = (centred @ centred[of].T).max(axis=1, initial=-1)
    return closest > similarity


def is_cut_out(photo: Pixels) -> bool:
    """True if somebody has painted the ground of a photo black."""
    return bool((photo.max(axis=2) <= BLACK).mean() > CUT_OUT)


def on_other_ground(photo: Pixels, grounds: Sequence[Pixels], rng: Generator) -> Pixels:
    """Replace the black ground of a photo: by another photo, out of focus, or by a plain colour.

    In this collection all leaves with common rust are cut out and no others are, so that a network
    would learn to look for black.

    Args:
        photo: Its ground is black.
        grounds: Photos of the same size to take the ground from.
        rng: Decides.
    """
    if rng.random() < 0.5:
        ground = Image.fromarray(grounds[int(rng.integers(len(grounds)))])
        ground = ground.filter(ImageFilter.GaussianBlur(rng.uniform(0, 6)))
    else:
        colour = rng.uniform(30, 110, 3) + rng.uniform(30, 110)
        noise = rng.normal(0, rng.uniform(2, 12), photo.shape)
        ground = Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))
    leaf = Image.fromarray(photo.max(axis=2) > EDGE).convert("L")
    leaf = leaf.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.GaussianBlur(1))
    return np.asarray(Image.composite(Image.fromarray(photo), ground, leaf))


def altered_copy(photo: Pixels, rng: Generator) -> Pixels:
    """Cut out a part of half to all of the side, turn it, mirror it, and change its light."""
    size = len(photo)
    side = int(size * rng.uniform(0.5, 1))
    top, left = rng.integers(0, size - side + 1, 2)
    part = np.rot90(photo[top : top + side, left : left + side], int(rng.integers(4)))
    if rng.random() < 0.5:
        part = part[:, ::-1]
    part = np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR))
    light = rng.uniform(0.8, 1.2) * rng.uniform(0.8, 1.2, 3)
    return np.clip(part * light, 0, 255).astype(np.uint8)
