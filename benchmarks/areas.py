"""Areas under curves, as tables of several sources show them: with three decimals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plantood.training.common.intervals import bootstrap


def mean_area(values: ArrayLike, pattern: str = "{:.3f}") -> str:
    """The mean of some sources' areas ``[N]`` with its interval: ``0.986 (0.968 to 0.997)``."""
    middle, interval = pattern.format(np.mean(np.asarray(values, float))), bootstrap(values)
    if interval is None:
        return middle
    low, high = map(pattern.format, interval)
    return f"{middle} ({low} to {high})"
