"""A share with what it may be in truth: the intervals, and the words for them."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95
RESAMPLES = 10_000
FEWEST_SOURCES = 5
"""Below which the spread of some figures says nothing of that of others."""
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
    z = NormalDist().inv_cdf((1 + confidence) / 2)  # a serving installation has no scipy
    rate, extra = hits / count, z * z / count
    centre = rate + extra / 2
    wide = z * sqrt(rate * (1 - rate) / count + extra / (4 * count))
    return max(0.0, (centre - wide) / (1 + extra)), min(1.0, (centre + wide) / (1 + extra))


def share(hits: int, count: int) -> str:
    """4 of 600 -> ``0.7% (0.3 to 1.7)``; a dash for a share of nothing."""
    if not count:
        return "-"
    low, high = wilson(hits, count)
    return f"{hits / count:.1%} ({100 * low:.1f} to {100 * high:.1f})"


def bootstrap(values: ArrayLike) -> tuple[float, float] | None:
    """The interval of the mean of some sources' figures, had it been other sources like these.

    By the percentile bootstrap (Efron and Tibshirani 1993, *An Introduction to the Bootstrap*,
    section 13.3), whose percentiles are moved out as far as those of Student's t are from those of
    the normal distribution: it is too narrow for few figures otherwise (Hesterberg 2015, *What
    Teachers Should Know About the Bootstrap*, section 5.3). Skewed figures of few sources still
    make it somewhat too narrow.

    Args:
        values: a figure of each source, ``[N]``.

    Returns:
        Lower and upper end; None of fewer than `FEWEST_SOURCES`, or where all are the same.
    """
    from scipy.stats import norm, t

    mine = np.asarray(values, float)
    count = len(mine)
    if count < FEWEST_SOURCES or np.ptp(mine) == 0:
        return None
    drawn = np.random.default_rng(0).choice(mine, (RESAMPLES, count)).mean(axis=1)
    out = sqrt(count / (count - 1)) * t.ppf((1 + CONFIDENCE) / 2, count - 1)
    low, high = np.quantile(drawn, norm.cdf([-out, out]))
    return float(low), float(high)


def mean(values: ArrayLike) -> str:
    """The mean of some sources' shares ``[N]``, 0..1: ``87.5% (75.5 to 97.8)``, by bootstrap."""
    middle, interval = f"{np.mean(np.asarray(values, float)):.1%}", bootstrap(values)
    if interval is None:
        return middle
    return f"{middle} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
