"""Counts of verdicts by what they should have been. Needs only NumPy, as serving has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def confusion(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> dict[str, int]:
    """Counts by outcome: what was let through and what was sent back, rightly or not."""
    plant = np.asarray(labels).ravel() == 1
    accepted = np.asarray(probabilities).ravel() >= threshold
    return {
        "true_accept": int(np.sum(plant & accepted)),
        "false_retake": int(np.sum(plant & ~accepted)),
        "false_accept": int(np.sum(~plant & accepted)),
        "true_retake": int(np.sum(~plant & ~accepted)),
    }
