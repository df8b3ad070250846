"""A share with what it may be in truth."""

from __future__ import annotations

from math import sqrt

Z = 1.96
"""Standard deviations that hold 95 of 100."""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    After E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    1927: with ``p = hits / count`` and ``z = 1.96``, ``(p + z^2 / 2n -+ z sqrt(p (1 - p) / n +
    z^2 / 4n^2)) / (1 + z^2 / n)``. It holds at 0 and at 100 %, too.
    """
    if not count:
        return 0.0, 1.0
    p, z2 = hits / count, Z * Z / count
    half = Z * sqrt(p * (1 - p) / count + z2 / (4 * count))
    low, high = ((p + z2 / 2 + sign * half) / (1 + z2) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def share(hits: int, count: int) -> str:
    """4 of 600 -> ``0.7 % (0.3 to 1.7)``."""
    low, high = (f"{100 * end:.1f}" for end in wilson(hits, count))
    return f"{100 * hits / count:.1f} % ({low} to {high})" if count else "-"
