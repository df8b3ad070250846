"""Photos as the world bends them: light, white balance, blur, JPEG, scale, crop, rotation.

Every function takes and returns uint8 RGB ``[height, width, 3]`` and draws from the NumPy
generator that it is given, so that a copy is a function of its seed. :func:`augmented` chains them
and returns ``[SIDE, SIDE, 3]``.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plantood.photo.images import to_model_input

Photo = NDArray[np.uint8]
"""RGB, ``[height, width, 3]``, 0..255."""

SIDE = 224
"""Side of what the network sees, in pixels."""

MOST_SQUASHED = 2.0
"""Width over height, or height over width, of the narrowest photo that an augmented copy imitates:
phones take 4:3 and 16:9."""


def fit(photo: Photo) -> Photo:
    """The whole photo at ``[SIDE, SIDE, 3]``, as the gate sees it: no crop, aspect given up."""
    return to_model_input(photo, SIDE)


def augmented(photo: Photo, rng: Generator, *, geometry: bool = True) -> Photo:
    """One copy as another camera might have taken it: ``[SIDE, SIDE, 3]``.

    ``geometry=False`` leaves scale, crop and rotation out, for pictures that are composed already.
    """
    copy = frame_anew(photo, rng) if geometry else fit(photo)
    if rng.random() < 0.25:
        copy = shade(copy, rng)
    copy = relight(copy, rng)
    if rng.random() < 0.5:
        copy = soften(copy, rng)
    if rng.random() < 0.3:
        copy = add_noise(copy, rng)
    if rng.random() < 0.7:
        copy = recompress(copy, rng)
    return copy


def frame_anew(photo: Photo, rng: Generator) -> Photo:
    """Another distance, angle, position and shape: crop or step back, turn, mirror, squash.

    Stepping back shows more ground than the photo has, so its mirror image is laid around it.
    Photos of any shape become square before the network sees them (:func:`fit`); where one class
    has the square ones, as curated leaves often do, their shape must not give the label away.
    """
    side = SIDE
    half = side // 2
    wide = np.pad(fit(photo), ((side, side), (side, side), (0, 0)), mode="symmetric")
    zoom = float(np.exp(rng.uniform(np.log(0.6), np.log(1.7))))  # of the side; > 1 comes closer
    squash = float(np.sqrt(np.exp(rng.uniform(-np.log(MOST_SQUASHED), np.log(MOST_SQUASHED)))))
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.normal(0.0, 0.15)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    slack = 0.5 * max(0.0, 1.0 - 1.0 / zoom) * side + 8.0
    centre_x, centre_y = 1.5 * side + rng.uniform(-slack, slack, 2)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = mirror * cos * squash / zoom, -sin / (squash * zoom)
    d, e = mirror * sin * squash / zoom, cos / (squash * zoom)
    matrix = (
        a, b, centre_x - (a + b) * half,
        d, e, centre_y - (d + e) * half,
    )  # fmt: skip
    turned = Image.fromarray(wide).transform(
        (side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(turned)


def relight(photo: Photo, rng: Generator) -> Photo:
    """Another exposure, gamma, contrast, saturation and white balance."""
    x = photo.astype(np.float32) / 255.0
    balance = rng.normal(0.0, 0.30 if rng.random() < 0.15 else 0.08, 3)
    gain = np.exp(rng.normal(0.0, 0.22) + balance - balance.mean())
    x = np.clip(x * gain.astype(np.float32), 0.0, 1.0) ** np.float32(np.exp(rng.normal(0.0, 0.3)))
    grey = x.mean(axis=-1, keepdims=True)
    x = grey + (x - grey) * np.float32(rng.uniform(0.45, 1.35))
    middle = x.mean()
    x = middle + (x - middle) * np.float32(rng.uniform(0.65, 1.3))
    return to_bytes(x * 255.0)


def split_tone(photo: Photo, rng: Generator) -> Photo:
    """A strange camera: shadows lean to one colour and lights to another, all of it often dim.

    So see multispectral and robot cameras, and phones that were never calibrated: on bare soil
    their green shadows look like leaves to a network. Shadow and light are meant within the
    photo (its own mean and spread), so that a flat photo is toned as strongly as a contrasty one.
    """
    x = photo.astype(np.float32) / 255.0
    light = x.mean(axis=-1, keepdims=True)
    x = x + (light - x) * np.float32(rng.uniform(0.0, 0.9))
    share = 1.0 / (1.0 + np.exp(-1.5 * (light - light.mean()) / max(float(light.std()), 0.01)))
    low, high = rng.normal(0.0, 0.14, 3), rng.normal(0.0, 0.14, 3)
    if rng.random() < 0.5:  # green against magenta, the axis on which sensors err most
        swing = rng.uniform(0.05, 0.25)
        low, high = np.array([-swing, swing, -swing]), np.array([swing, -swing, swing])
    gain = np.exp((low - low.mean()) * (1.0 - share) + (high - high.mean()) * share)
    x = np.clip(x * gain * rng.uniform(0.4, 1.15), 0.0, 1.0) ** rng.uniform(0.75, 1.25)
    return to_bytes(x * 255.0)


def paint_green(photo: Photo, rng: Generator) -> Photo:
    """The photo in leaf colours, yellow-green to teal, its texture untouched.

    For what is *other*: green cloth, green plastic and green walls are no plants.
    """
    hue, saturation, value = np.moveaxis(np.asarray(Image.fromarray(photo).convert("HSV")), -1, 0)
    spread = ((hue.astype(np.float32) + 128.0) % 256.0 - 128.0) * rng.uniform(0.0, 0.15)
    hue = (rng.uniform(32.0, 115.0) + spread).clip(0.0, 255.0)
    saturation = saturation * rng.uniform(0.3, 1.0) + rng.uniform(20.0, 140.0)
    painted = np.stack([hue, saturation.clip(0.0, 255.0), value], axis=-1).astype(np.uint8)
    return np.asarray(Image.fromarray(painted, "HSV").convert("RGB"))


def brighten(photo: Photo, least: float) -> Photo:
    """Exposed longer until the mean reaches ``least`` (0..255); brighter photos stay as they are.

    A plant that nobody can see is no plant to learn.
    """
    mean = float(photo.mean())
    return photo if mean >= least else to_bytes(photo * (least / max(mean, 1.0)))


def shade(photo: Photo, rng: Generator) -> Photo:
    """A soft shadow or a light falling off across the frame."""
    height, width = photo.shape[:2]
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    ramp = xs * np.cos(angle) + ys * np.sin(angle) - rng.uniform(-0.7, 0.7)
    dark = rng.uniform(0.3, 0.8)
    light = dark + (1.0 - dark) / (1.0 + np.exp(-ramp * np.exp(rng.uniform(0.3, 3.5))))
    return to_bytes(photo * light[..., None])


def soften(photo: Photo, rng: Generator) -> Photo:
    """Out of focus, moved, or too few pixels: still fit for diagnosis, only less sharp."""
    picture = Image.fromarray(photo)
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.8))))
    if kind == 1:
        return _move(photo, rng)
    height, width = photo.shape[:2]
    scale = rng.uniform(0.3, 0.8)
    small = picture.resize((int(width * scale), int(height * scale)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


def _move(photo: Photo, rng: Generator) -> Photo:
    """Motion blur: the mean of a few copies along a short line."""
    steps = int(rng.integers(3, 7))
    dx, dy = rng.integers(-1, 2, 2)
    shifted = [np.roll(photo, (k * dy, k * dx), (0, 1)).astype(np.float32) for k in range(steps)]
    return to_bytes(np.mean(shifted, axis=0))


def add_noise(photo: Photo, rng: Generator) -> Photo:
    """Sensor noise, as small cameras have it in poor light."""
    return to_bytes(photo + rng.normal(0.0, rng.uniform(2.0, 14.0), photo.shape))


def recompress(photo: Photo, rng: Generator) -> Photo:
    """Saved once more as JPEG, at quality 15 to 92."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=int(rng.integers(15, 93)))
    return np.asarray(Image.open(buffer))


def to_bytes(values: NDArray[np.floating]) -> Photo:
    """Floats of the scale 0..255, clipped, as uint8."""
    clipped: Photo = np.clip(values, 0.0, 255.0).astype(np.uint8)
    return clipped
