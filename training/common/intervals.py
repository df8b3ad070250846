"""A share with what it may be in truth: the interval of Wilson, and the words for it."""

from __future__ import annotations

CONFIDENCE = 0.95
FEWEST = 30
"""Photos below which a share says little: no error in 30 may still be one in nine."""


def wilson(hits: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share, 0..1; (0, 1) of no photos.

    By E. B. Wilson 1927, *Probable inference, the law of succession, and statistical inference*,
    which Brown, Cai and DasGupta 2001 (*Interval estimation for a binomial proportion*) recommend
    for few photos; it also holds where there are no errors.
    """
    if not count:
        return 0.0, 1.0
    from scipy.stats import binomtest  # a serving installation has tables, but no scipy

    low, high = binomtest(hits, count).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def share(hits: int, count: int) -> str:
    """4 of 600 -> ``0.7% (0.3 to 1.7)``; a dash for a share of nothing."""
    if not count:
        return "-"
    low, high = wilson(hits, count)
    return f"{hits / count:.1%} ({100 * low:.1f} to {100 * high:.1f})"
