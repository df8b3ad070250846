"""What phones, apps and people put over or around a photo: stamps, bars, frames, screenshots.

All take uint8 RGB ``[H, W, 3]`` and give the same kind; what is random comes from ``rng``. Draw at
the size that a phone would have drawn at (:func:`enlarged`), or the letters are as soft as the
photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Pixels = np.ndarray
"""uint8 RGB ``[H, W, 3]``."""
Colour = tuple[int, int, int]
Overlay = Callable[[Pixels, np.random.Generator], Pixels]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
STAMP_COLOURS = (WHITE, (255, 165, 0), (255, 235, 60), (255, 60, 40), BLACK)
FRAME_COLOURS = (WHITE, BLACK, (120, 120, 120), (30, 60, 150), (200, 170, 90), (240, 200, 210))
LINES = (
    "2026:06:14 09:41:27",
    "-1.286389, 36.817223",
    "Kiambu Rd 14, Nairobi",
    "Altitude 1,795 m  Speed 0.0",
    "Plot 7 Block B #0412",
)


def enlarged(pixels: Pixels, side: int = 640) -> Pixels:
    """The photo with a longest side of at least ``side`` pixels."""
    scale = side / max(pixels.shape[:2])
    if scale <= 1:
        return pixels
    size = tuple(max(1, round(length * scale)) for length in pixels.shape[1::-1])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def stamp(height: float, lines: int, corners: Sequence[str] = ("br",)) -> Overlay:
    """Date and place burnt into the picture.

    Args:
        height: Of a letter, as a share of the photo's shorter side.
        lines: How many.
        corners: Where: ``t`` or ``b``, then ``l``, ``c`` or ``r``.
    """

    def draw(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        image = Image.fromarray(pixels)
        colour = STAMP_COLOURS[rng.integers(len(STAMP_COLOURS))]
        outlined = rng.random() < 0.4
        size = max(6, round(height * min(image.size)))
        start = int(rng.integers(len(LINES)))
        text = "\n".join(LINES[(start + i) % len(LINES)] for i in range(lines))
        options = {
            "font": ImageFont.load_default(size),
            "spacing": max(1, size // 4),
            "stroke_width": max(1, size // 12) if outlined else 0,
            "stroke_fill": BLACK if sum(colour) > 300 else WHITE,
            "fill": colour,
        }
        for corner in corners:
            _write(image, text, corner, size // 2, options)
        return np.asarray(image)

    return draw


def panel(height: float) -> Overlay:
    """What apps for survey photos add at the bottom: a dark panel, a map, and lines of text."""

    def draw(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        image = Image.fromarray(pixels)
        width, full = image.size
        tall = round(height * full)
        box = (0, full - tall, width, full)
        image.paste(Image.blend(image.crop(box), Image.new("RGB", (width, tall), BLACK), 0.6), box)
        draw = ImageDraw.Draw(image)
        inset = tall // 12
        side = min(tall - 2 * inset, width // 3)
        left, top = inset, full - tall + inset
        draw.rectangle((left, top, left + side, top + side), (205, 220, 190))
        for _ in range(6):
            ends = [(left + rng.uniform(0, side), top + rng.uniform(0, side)) for _ in range(2)]
            draw.line(ends, (250, 250, 250), max(1, side // 20))
        font = ImageFont.load_default(max(6, tall // 7))
        draw.multiline_text((left + side + inset, top), "\n".join(LINES), WHITE, font, spacing=1)
        return np.asarray(image)

    return draw


def bar(height: float, where: str = "b") -> Overlay:
    """A bar with a line of text above (``t``) or below (``b``) the photo, or both (``tb``)."""

    def draw(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        tall = max(8, round(height * pixels.shape[0]))
        ground, ink = (WHITE, BLACK) if rng.random() < 0.5 else (BLACK, WHITE)
        top, bottom = ("t" in where) * tall, ("b" in where) * tall
        image = _surrounded(pixels, (0, top, 0, bottom), ground)
        draw = ImageDraw.Draw(image)
        font = ImageFont.load_default(max(6, round(tall * 0.45)))
        text = "   ".join(LINES[:2])
        for present, middle in ((top, tall / 2), (bottom, image.height - tall / 2)):
            if present:
                draw.text((image.width / 2, middle), text, ink, font, anchor="mm")
        return np.asarray(image)

    return draw


def frame(width: float, colour: Colour | None = None) -> Overlay:
    """A frame around the photo, ``width`` of its shorter side wide, of a random colour if None."""

    def draw(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        wide = max(1, round(width * min(pixels.shape[:2])))
        chosen = colour or FRAME_COLOURS[rng.integers(len(FRAME_COLOURS))]
        return np.asarray(_surrounded(pixels, (wide,) * 4, chosen))

    return draw


def letterbox(height: float) -> Overlay:
    """Flat bars above and below, each ``height`` of the photo's height."""

    def draw(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        tall = max(1, round(height * pixels.shape[0]))
        ground = WHITE if rng.random() < 0.3 else BLACK
        return np.asarray(_surrounded(pixels, (0, tall, 0, tall), ground))

    return draw


def screenshot(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The photo as a phone's screen shows it: clock and battery above, buttons below."""
    width = pixels.shape[1]
    tall = max(round(width * rng.uniform(1.78, 2.2)), round(pixels.shape[0] * 1.25))
    ground, ink = ((250, 250, 250), (40, 40, 40)) if rng.random() < 0.5 else ((0, 0, 0), WHITE)
    image = Image.new("RGB", (width, tall), ground)
    image.paste(Image.fromarray(pixels), (0, (tall - pixels.shape[0]) // 2))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(7, round(width * 0.035)))
    margin = width // 25
    draw.text((margin, margin // 2), "09:41", ink, font)
    draw.rectangle((width - 3 * margin, margin // 2, width - margin, margin), ink)
    for i in range(4):
        x, y, r = width * (2 * i + 1) / 8, tall - 1.5 * margin, margin * 0.7
        draw.ellipse((x - r, y - r, x + r, y + r), outline=ink, width=max(1, margin // 6))
    return np.asarray(image)


def sideways(overlay: Overlay) -> Overlay:
    """The same on a photo that was turned afterwards."""

    def draw(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return np.ascontiguousarray(np.rot90(overlay(np.rot90(pixels), rng), -1))

    return draw


def both(first: Overlay, second: Overlay) -> Overlay:
    """One, and the other around it."""
    return lambda pixels, rng: second(first(pixels, rng), rng)


def with_a_sharp_leaf(pixels: Pixels, blurred: Pixels, share: float, at: tuple) -> Pixels:
    """A macro photo: an ellipse of ``share`` of the sharp photo before the blurred one.

    Args:
        pixels: Sharp.
        blurred: The background, of the same size.
        share: Of the area that is sharp.
        at: Its centre, as shares of width and height.
    """
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    long, short = np.sqrt(share / np.pi) * 1.3, np.sqrt(share / np.pi) / 1.3
    inside = ((x / width - at[0]) / long) ** 2 + ((y / height - at[1]) / short) ** 2 < 1
    return np.where(inside[..., None], pixels, blurred)


def _surrounded(pixels: Pixels, margins: tuple[int, int, int, int], ground: Colour) -> Image.Image:
    """The photo with margins to its left, top, right and bottom."""
    left, top, right, bottom = margins
    height, width = pixels.shape[:2]
    image = Image.new("RGB", (width + left + right, height + top + bottom), ground)
    image.paste(Image.fromarray(pixels), (left, top))
    return image


def _write(image: Image.Image, text: str, corner: str, margin: int, options: dict) -> None:
    draw = ImageDraw.Draw(image)
    measured = {key: options[key] for key in ("font", "spacing", "stroke_width")}
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, **measured)
    x = {
        "l": margin,
        "c": (image.width - right + left) / 2,
        "r": image.width - margin - right,
    }[corner[1]]
    y = margin if corner[0] == "t" else image.height - margin - bottom
    draw.multiline_text((x, y - min(0, top)), text, **options)


def nothing(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """The photo alone."""
    return pixels


CASES: dict[str, Overlay] = {
    "date": stamp(0.05, 1),
    "date in a corner above": stamp(0.05, 1, ("tl",)),
    "date and place": stamp(0.045, 3, ("bl",)),
    "five lines": stamp(0.04, 5, ("br",)),
    "two lines in two corners": stamp(0.05, 2, ("tl", "br")),
    "all corners": stamp(0.04, 1, ("tl", "tr", "bl", "br")),
    "panel of a survey app": panel(0.22),
    "text bar below": bar(0.12),
    "text bar above": bar(0.12, "t"),
    "text bars": bar(0.1, "tb"),
    "large date": stamp(0.08, 1),
    "narrow frame": frame(0.03),
    "white frame": frame(0.1, WHITE),
    "black frame": frame(0.1, BLACK),
    "coloured frame": frame(0.1, (30, 60, 150)),
    "wide frame": frame(0.3),
    "letterbox": letterbox(0.3),
    "screenshot": screenshot,
    "sideways": sideways(stamp(0.045, 3, ("bl",))),
    "date in a frame": both(stamp(0.05, 1), frame(0.1)),
    "frame in a screenshot": both(frame(0.05), screenshot),
}
"""By what a table calls them."""
