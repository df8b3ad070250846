"""What the commands share: numbers as they are read."""

from __future__ import annotations

import math
from typing import Any

DIGITS = 4


def rounded(value: Any) -> Any:
    """The same with numbers as they are read; what could not be measured is NaN, and no JSON."""
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value
