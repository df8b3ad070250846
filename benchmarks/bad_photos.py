"""Photos as they go wrong in the field, made from good ones or from nothing; seeded."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

Pixels = np.ndarray
"""uint8 RGB ``[H, W, 3]``."""


def defocus(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur; ``strength`` is its sigma as a share of the longest side."""
    radius = strength * max(pixels.shape[:2])
    blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius))
    return as_phone_jpeg(np.asarray(blurred), rng)


def motion(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Movement along a random straight line; ``strength`` is its length / the longest side."""
    height, width = pixels.shape[:2]
    length = strength * max(height, width)
    angle = rng.uniform(0, np.pi)
    reach = int(np.ceil(length / 2))
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), "edge")
    steps = np.linspace(-length / 2, length / 2, 2 * reach + 1)
    total = np.zeros(pixels.shape, np.float32)
    for step in steps:
        top = reach + round(step * np.sin(angle))
        left = reach + round(step * np.cos(angle))
        total += padded[top : top + height, left : left + width]
    return as_phone_jpeg(total / len(steps), rng)


def dim(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Too little light: pixel values times ``strength``, and the noise of a phone at night."""
    return as_phone_jpeg(pixels * np.float32(strength), rng, noise=4.0)


def overexpose(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Too much light: pixel values times ``strength``, clipped."""
    return as_phone_jpeg(pixels * np.float32(strength), rng)


def pocket(rng: np.random.Generator, size: tuple[int, int] = (640, 480)) -> Pixels:
    """A black frame from a pocket: nothing but the noise of the sensor."""
    width, height = size
    level = rng.uniform(0, 12)
    return as_phone_jpeg(np.full((height, width, 3), level, np.float32), rng, noise=5.0)


def covered_lens(rng: np.random.Generator, size: tuple[int, int] = (640, 480)) -> Pixels:
    """A finger over the lens: one smooth reddish gradient, lit from one side, with noise."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    light_x, light_y = rng.uniform(-0.5, 1.5, 2)
    distance = (x / width - light_x) ** 2 + (y / height - light_y) ** 2
    light = rng.uniform(0.2, 0.6) + 0.7 * np.exp(-distance / rng.uniform(0.3, 2))
    colour = rng.uniform((90, 10, 10), (230, 90, 80))
    return as_phone_jpeg(light[..., None] * colour, rng, noise=rng.uniform(0, 6))


def as_phone_jpeg(values: np.ndarray, rng: np.random.Generator, noise: float = 2.0) -> Pixels:
    """Add sensor noise (standard deviation ``noise``, grey levels) and save as a phone does."""
    noisy = values + rng.normal(0, noise, values.shape).astype(np.float32)
    file = BytesIO()
    quality = int(rng.integers(70, 95))
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
