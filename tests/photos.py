"""Photos that the tests make themselves."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw


def scene(width: int = 640, height: int = 480, seed: int = 0) -> Image.Image:
    """Leaves of several greens before brown ground, with fine texture: sharp and well lit."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), (120, 95, 70))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        long, short = rng.uniform(0.05, 0.2, 2) * max(width, height)
        colour = tuple(int(value) for value in rng.uniform((30, 90, 20), (120, 220, 110)))
        draw.ellipse((x - long, y - short, x + long, y + short), fill=colour, outline=(20, 50, 15))
    texture = rng.normal(0, 12, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + texture, 0, 255).astype(np.uint8))


def encode(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def heic(image: Image.Image, **options: Any) -> bytes:
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, **options)
    return file.getvalue()
