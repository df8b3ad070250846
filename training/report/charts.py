"""Small charts as inline SVG: nothing to load, sharp at any size, readable in dark and light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#2a7f3f", "#b5541c", "#3763b0", "#8a4fa3", "#a08500", "#4b8f95")
"""One for each model, in order; told apart also without red and green by their lightness."""

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 26, 36


@dataclass(frozen=True)
class Line:
    """A named curve of points ``(x, y)``."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False
    dots: bool = False
    drawn: bool = True
    """Whether the points are joined."""


def line_chart(
    title: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Curves over two linear axes."""
    xs = [x for line in lines for x, _ in line.points] or [0.0, 1.0]
    ys = [y for line in lines for _, y in line.points] or [0.0, 1.0]
    x_range = x_range or (min(xs), max(xs))
    y_range = y_range or (min(0.0, *ys), max(ys))
    scale = _Scale(x_range, y_range)
    parts = [_axes(scale, x_label, y_label)]
    for line in lines:
        path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in line.points)
        dash = ' stroke-dasharray="4 3"' if line.dashed else ""
        if line.drawn:
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{line.colour}" '
                f'stroke-width="1.6"{dash}>'
                f"<title>{escape(line.name)}</title></polyline>"
            )
        if line.dots:
            fill = f'r="2.5" fill="{line.colour}"'
            parts += [
                f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" {fill}/>'
                for x, y in line.points
            ]
    return _svg(title, parts)


def histogram(
    title: str, series: Sequence[tuple[str, Sequence[float], str]], mark: float, bins: int = 25
) -> str:
    """Counts of values 0..1 by class on a square-root axis, with a line at ``mark``.

    The square root lets the few errors be seen beside the many right ones.
    """
    counted = []
    for name, values, colour in series:
        counts = [0] * bins
        for value in values:
            counts[min(int(value * bins), bins - 1)] += 1
        counted.append((name, counts, colour))
    highest = max((max(counts) for _, counts, _ in counted), default=0) or 1
    scale = _Scale((0.0, 1.0), (0.0, math.sqrt(highest)))
    parts = [_axes(scale, "P(plant)", "photos (√ scale)", lambda v: f"{v * v:.0f}")]
    for name, counts, colour in counted:
        for b, count in enumerate(counts):
            if count:
                x, y = scale.x(b / bins), scale.y(math.sqrt(count))
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{scale.x((b + 1) / bins) - x:.1f}" '
                    f'height="{scale.y(0) - y:.1f}" fill="{colour}" fill-opacity="0.55">'
                    f"<title>{escape(name)}: {count}</title></rect>"
                )
    x = scale.x(mark)
    parts.append(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="mark"/>'
        f'<text x="{x + 3:.1f}" y="{TOP + 9}" class="tick">{mark:.3f}</text>'
    )
    return _svg(title, parts)


def bar_chart(title: str, bars: Sequence[tuple[str, float, str, str]]) -> str:
    """Horizontal bars of shares 0..1: ``(name, share, note, colour)``."""
    row, left, width = 18, 190, 560
    height = TOP + row * len(bars) + 6
    longest = max((share for _, share, _, _ in bars), default=0) or 1
    parts = []
    for number, (name, share, note, colour) in enumerate(bars):
        y = TOP + number * row
        length = (width - left - 110) * share / longest
        parts.append(
            f'<text x="{left - 6}" y="{y + 12}" text-anchor="end" class="name">'
            f'{escape(name)}</text><rect x="{left}" y="{y + 3}" '
            f'width="{max(length, 0.5):.1f}" height="{row - 7}" '
            f'fill="{colour}"/><text x="{left + length + 5:.1f}" y="{y + 12}" class="name">'
            f"{escape(note)}</text>"
        )
    return _svg(title, parts, width, height)


def legend(names: Sequence[tuple[str, str]]) -> str:
    """Names beside their colours, as HTML."""
    return " ".join(
        f'<span class="key"><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in names
    )


@dataclass(frozen=True)
class _Scale:
    """From data to picture coordinates."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + (value - low) / ((high - low) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)


def _axes(scale: _Scale, x_label: str, y_label: str, y_text: object = None) -> str:
    y_text = y_text or (lambda value: f"{value:.2g}")
    parts = []
    for fraction in (0, 0.25, 0.5, 0.75, 1):
        x = scale.x_range[0] + fraction * (scale.x_range[1] - scale.x_range[0])
        y = scale.y_range[0] + fraction * (scale.y_range[1] - scale.y_range[0])
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{scale.y(y):.1f}" y2="{scale.y(y):.1f}" '
            f'class="grid"/><text x="{LEFT - 5}" y="{scale.y(y) + 3:.1f}" text-anchor="end" '
            f'class="tick">{y_text(y)}</text><text x="{scale.x(x):.1f}" y="{HEIGHT - BOTTOM + 14}" '
            f'text-anchor="middle" class="tick">{x:.3g}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle" '
        f'class="tick">{escape(x_label)}</text><text x="11" y="{middle}" '
        f'text-anchor="middle" class="tick" transform="rotate(-90 11 {middle})">'
        f"{escape(y_label)}</text>"
    )
    return "".join(parts)


def _svg(title: str, parts: Sequence[str], width: int = WIDTH, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}"><text x="6" y="15" class="title">{escape(title)}</text>'
        f"{''.join(parts)}</svg>"
    )
