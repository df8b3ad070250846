"""A share with what it may be in truth."""

from __future__ import annotations

from plantood.training.common.intervals import wilson

__all__ = ["share", "wilson"]


def share(hits: int, count: int) -> str:
    """4 of 600 -> ``0.7 % (0.3 to 1.7)``."""
    low, high = (f"{100 * end:.1f}" for end in wilson(hits, count))
    return f"{100 * hits / count:.1f} % ({low} to {high})" if count else "-"
