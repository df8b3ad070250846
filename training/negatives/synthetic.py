"""Frames without a plant that no collection holds and every phone takes.

A covered lens, the dark of a pocket, papers, floors, walls: drawn, not photographed. All return
uint8 RGB ``[SIDE, SIDE, 3]``. ``unseen=True`` draws with settings that training never uses (other
colours, sizes, typefaces), to measure whether more than the generator has been learnt.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from plantood.training.photos.augment import SIDE, Photo, to_bytes


def smooth_field(rng: Generator, cells: int) -> np.ndarray:
    """Slowly varying light: ``[SIDE, SIDE]``, about 0..1, ``cells`` hills along a side."""
    coarse = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / np.float32(255.0)


def black_frame(rng: Generator, *, unseen: bool = False) -> Photo:
    """Night or a pocket: almost no light, and the sensor's own noise."""
    level = rng.uniform(14, 30) if unseen else rng.uniform(0, 14)
    tint = np.exp(rng.normal(0.0, 0.25, 3))
    light = level * (0.4 + smooth_field(rng, int(rng.integers(2, 5))))[..., None] * tint
    return to_bytes(light + rng.normal(0.0, rng.uniform(0.5, 7.0), (SIDE, SIDE, 3)))


def covered_lens(rng: Generator, *, unseen: bool = False) -> Photo:
    """A finger or cloth over the lens: a smooth glow, mostly skin-red, sometimes any colour."""
    if unseen:
        colour = np.array([rng.uniform(90, 200), rng.uniform(60, 120), rng.uniform(40, 110)])
    elif rng.random() < 0.6:
        colour = np.array([rng.uniform(60, 255), rng.uniform(10, 110), rng.uniform(0, 90)])
    else:
        colour = rng.uniform(10, 230, 3)
    glow = smooth_field(rng, int(rng.integers(2, 4)))[..., None]
    depth = rng.uniform(0.2, 1.0)
    light = colour * (1.0 - depth + depth * glow)
    return to_bytes(light + rng.normal(0.0, rng.uniform(0.0, 8.0), (SIDE, SIDE, 3)))


def plain_wall(rng: Generator, *, unseen: bool = False) -> Photo:
    """A wall, a sheet, a sky: one colour (any), hardly any grain."""
    colour = rng.uniform(40, 245) + rng.normal(0.0, 30.0 if unseen else 18.0, 3)
    grain = smooth_field(rng, int(rng.integers(20, 112)))[..., None] - 0.5
    light = 0.75 + 0.5 * smooth_field(rng, int(rng.integers(2, 5)))[..., None]
    return to_bytes(colour * light + grain * rng.uniform(0.0, 25.0))


def floor(rng: Generator, *, unseen: bool = False) -> Photo:
    """Tiles, planks or bricks with joints, any colour, seen from above at an angle."""
    size = 2 * SIDE
    across = int(rng.integers(28, 150))
    along = across if rng.random() < 0.5 else int(across * rng.uniform(1.5, 6.0))
    if unseen:
        across, along = int(rng.integers(18, 28)), int(rng.integers(60, 200))
    base = rng.uniform(50, 235) * np.exp(rng.normal(0.0, 0.12, 3) + np.array([0.06, 0.0, -0.08]))
    picture = Image.new("RGB", (size, size), _rgb(base * rng.uniform(0.4, 1.2)))
    pen = ImageDraw.Draw(picture)
    joint = int(rng.integers(1, 6))
    spread = rng.uniform(0.0, 0.14)
    for row, y in enumerate(range(0, size, across)):
        shift = int(rng.integers(along)) if along != across else (row % 2) * int(rng.integers(2))
        for x in range(-shift, size, along):
            tone = base * np.exp(rng.normal(0.0, spread))
            pen.rectangle((x, y, x + along - joint, y + across - joint), fill=_rgb(tone))
    surface = np.asarray(_perspective(picture, rng, 0.18)).astype(np.float32)
    grain = smooth_field(rng, int(rng.integers(16, 112)))[..., None] - 0.5
    streak = np.asarray(Image.fromarray((rng.random((SIDE, 6)) * 255).astype(np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC)) / 255.0 - 0.5  # fmt: skip
    return to_bytes(surface + grain * rng.uniform(0, 40) + streak[..., None] * rng.uniform(0, 30))


def document(rng: Generator, *, unseen: bool = False) -> Photo:
    """A page of print, a form, a receipt or a screen, at an angle on some desk."""
    size = 2 * SIDE
    paper = np.array([250.0, 248, 240]) * rng.uniform(0.7, 1.0)
    if rng.random() < 0.15:
        paper = rng.uniform(120, 255, 3)  # coloured paper
    ink = rng.uniform(0, 90, 3) if rng.random() < 0.85 else np.array([20.0, 30.0, 160.0])
    if not unseen and rng.random() < 0.12:
        paper, ink = ink, paper  # a dark screen
    picture = Image.new("RGB", (size, size), _rgb(paper))
    pen = ImageDraw.Draw(picture)
    height = int(rng.integers(24, 44)) if unseen else int(rng.integers(9, 24))
    _print_lines(pen, size, height, _rgb(ink), rng)
    if rng.random() < 0.4:
        _rule(pen, size, _rgb(ink), rng)
    desk = Image.fromarray(plain_wall(rng, unseen=unseen))
    page = _perspective(picture.convert("RGBA"), rng, 0.3, margin=rng.uniform(-0.3, 0.25))
    desk.paste(page, (0, 0), page)
    light = 0.6 + 0.5 * smooth_field(rng, int(rng.integers(2, 5)))[..., None]
    return to_bytes(np.asarray(desk) * light)


def _print_lines(
    pen: ImageDraw.ImageDraw, size: int, height: int, ink: tuple[int, int, int], rng: Generator
) -> None:
    """Lines of made-up words; Pillow's own typeface, so that no font file is needed."""
    font = ImageFont.load_default(height)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIKLMNOPRST0123456789.,:-"))
    left = int(rng.integers(8, 60))
    columns = size // max(6, int(height * 0.55))
    y = int(rng.integers(8, 60))
    while y < size - height:
        if rng.random() < 0.85:
            count = int(columns * rng.uniform(0.3, 1.0))
            line = rng.choice(letters, count)
            line[rng.random(count) < 0.17] = " "
            pen.text((left, y), "".join(line.tolist()), fill=ink, font=font)
        y += int(height * rng.uniform(1.15, 1.6))


def _rule(pen: ImageDraw.ImageDraw, size: int, ink: tuple[int, int, int], rng: Generator) -> None:
    """The lines of a form or a table."""
    for y in range(int(rng.integers(20, 80)), size, int(rng.integers(24, 90))):
        pen.line((10, y, size - 10, y), fill=ink, width=int(rng.integers(1, 3)))
    for x in range(int(rng.integers(20, 80)), size, int(rng.integers(60, 200))):
        pen.line((x, 10, x, size - 10), fill=ink, width=1)


def _perspective(
    picture: Image.Image, rng: Generator, tilt: float, margin: float = -0.35
) -> Image.Image:
    """``[SIDE, SIDE]`` view of ``picture`` from a crooked place; ``margin`` > 0 shows its edges."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
    seen = 0.5 + (corners - 0.5) * (1.0 - 2.0 * margin) + rng.uniform(-tilt, tilt, (4, 2)) * 0.5
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.normal(0.0, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen = 0.5 + (seen - 0.5) @ turn
    matrix, right = [], []
    for (x, y), (u, v) in zip(seen * SIDE, corners * picture.width, strict=True):
        matrix += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    coefficients = np.linalg.solve(np.array(matrix), np.array(right))
    return picture.transform(
        (SIDE, SIDE),
        Image.Transform.PERSPECTIVE,
        tuple(coefficients.tolist()),
        Image.Resampling.BILINEAR,
    )


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


Draw = Callable[..., Photo]
FRAMES: dict[str, Draw] = {
    "black_frame": black_frame,
    "covered_lens": covered_lens,
    "plain_wall": plain_wall,
    "floor": floor,
    "document": document,
}
"""Every kind of drawn frame by name; all are *other*."""
