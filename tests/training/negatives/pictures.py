"""Small field photos: leaves of any outline on soil with grain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SOIL, LEAF = (125, 98, 72), (60, 150, 45)


def soil(height: int = 400, width: int = 500, seed: int = 0) -> np.ndarray:
    """Clods and grains at several scales, crisp; uint8 ``[height, width, 3]``."""
    rng = np.random.default_rng(seed)
    light = np.zeros((height, width))
    for cells, share in ((8, 0.35), (32, 0.35), (128, 0.3)):
        coarse = Image.fromarray((rng.uniform(0, 255, (cells, cells))).astype(np.uint8))
        light += share * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255
    grain = rng.normal(0, 3, (height, width, 3))
    return ((0.45 + light)[..., None] * np.array(SOIL) + grain).clip(0, 255).astype(np.uint8)


def with_leaves(photo: np.ndarray, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """The photo with green leaves in ``left, top, right, bottom``."""
    photo = photo.copy()
    for left, top, right, bottom in boxes:
        region = photo[top:bottom, left:right]
        light = region.mean(axis=-1, keepdims=True) / np.mean(SOIL)
        region[:] = (light * np.array(LEAF)).clip(0, 255)
    return photo


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path
