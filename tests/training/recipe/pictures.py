"""Small stand-ins for the public photos: leaves on soil, leaves on a table, things, soil."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from plantood.training.recipe.samples import Row

SOIL, LEAF, TABLE = (110, 85, 60), (50, 150, 40), (130, 130, 130)


def ellipse(
    size: int = 224, *, long: float = 0.36, short: float = 0.16, angle: float = 0.0
) -> np.ndarray:
    """Mask ``[size, size]`` of an ellipse in the middle; half axes as shares of the side."""
    ys, xs = np.mgrid[:size, :size] - (size - 1) / 2
    along = xs * np.cos(angle) - ys * np.sin(angle)
    across = xs * np.sin(angle) + ys * np.cos(angle)
    return (along / (long * size)) ** 2 + (across / (short * size)) ** 2 < 1


def leaf_photo(
    mask: np.ndarray, ground: Sequence[int] = SOIL, leaf: Sequence[int] = LEAF, noise: int = 6
) -> np.ndarray:
    """A leaf of this outline on this ground, with some grain; uint8 ``[height, width, 3]``."""
    rng = np.random.default_rng(mask.size)
    pixels = np.where(mask[..., None], np.array(leaf), np.array(ground))
    return (pixels + rng.integers(-noise, noise + 1, pixels.shape)).clip(0, 255).astype(np.uint8)


def textured(size: int = 96, colour: Sequence[float] = (140, 110, 90), seed: int = 0) -> np.ndarray:
    """Coarse blotches of a colour without a leaf; uint8 ``[size, size, 3]``."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray((rng.uniform(0.5, 1.2, (8, 8)) * 200).astype(np.uint8))
    light = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))[..., None] / 200.0
    return (light * np.array(colour)).clip(0, 255).astype(np.uint8)


def save(folder: Path, source: str, name: str, pixels: np.ndarray) -> Path:
    """As PNG, so that what is read is what was drawn."""
    path = folder / source / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


PLANTS = (
    "apple_plantvillage",
    "beans_uganda",
    "blackgram_field",
    "cherry_orchard",
    "citrus_leaves",
    "deep_weeds",
    "maize_plantvillage",
    "plant_seedlings",
    "rice_leaf",
)
OTHERS = (
    "clothing",
    "crackforest_asphalt",
    "dtd_subset",
    "imagenet_samples",
    "plantvillage_background",
    "sign_digits_hands",
    "soil_EricEchemane",
    "soil_NHA078",
)


def rows_of_all_sources(per_source: int = 20) -> list[Row]:
    """Rows of every source of the recipe, a fifth of each in the test split; no files."""
    splits = ("train", "train", "train", "val", "test")
    return [
        Row(Path("images", source, f"{n}.jpg"), plant, source, splits[n % 5])
        for plant, sources in ((True, PLANTS), (False, OTHERS))
        for source in sources
        for n in range(per_source)
    ]
