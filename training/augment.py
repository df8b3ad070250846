"""Photos as another camera might have taken them, for the second phase."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def augment(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A copy ``[H', W', 3]``: cropped, turned, mirrored, relit and compressed anew by chance.

    A function of the photo and the generator's state alone.
    """
    image = Image.fromarray(pixels)
    image = image.crop(_crop_box(image.size, rng))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if quarters := rng.integers(4):
        image = image.transpose(
            (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)[
                quarters - 1
            ]
        )
    light = rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)  # exposure, and white balance
    relit = np.clip(np.asarray(image, np.float32) * light, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(relit).save(buffer, "JPEG", quality=int(rng.integers(40, 96)))
    return np.asarray(Image.open(buffer))


def _crop_box(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A window of 60 to 100 % of each side, anywhere in the photo."""
    width, height = (max(1, round(side * rng.uniform(0.6, 1.0))) for side in size)
    left = int(rng.integers(size[0] - width + 1))
    top = int(rng.integers(size[1] - height + 1))
    return left, top, left + width, top + height
