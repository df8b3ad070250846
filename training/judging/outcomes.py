"""Counts of verdicts by what they should have been, and how much each photo counts.

Needs only NumPy, as serving has it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def accepted(probabilities: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Which photos are let through, ``[N]``: compared in float64, as the policy does.

    In float32 the threshold itself would be rounded, past a photo next to it.
    """
    let_through: NDArray[np.bool_] = np.asarray(probabilities, np.float64).ravel() >= threshold
    return let_through


def confusion(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> dict[str, int]:
    """Counts by outcome: what was let through and what was sent back, rightly or not."""
    plant, through = np.asarray(labels).ravel() == 1, accepted(probabilities, threshold)
    return {
        "true_accept": int(np.sum(plant & through)),
        "false_retake": int(np.sum(plant & ~through)),
        "false_accept": int(np.sum(~plant & through)),
        "true_retake": int(np.sum(~plant & ~through)),
    }


def source_weights(labels: ArrayLike, sources: Sequence[str]) -> NDArray[np.float64]:
    """Weights ``[N]`` of mean 1 under which the classes, and all sources of a class, are alike.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        sources: of each photo, ``[N]``.
    """
    y = np.asarray(labels).ravel() == 1
    cells = list(zip(y.tolist(), sources, strict=True))
    size = Counter(cells)
    number = Counter(label for label, _ in size)
    share = [1.0 / (size[cell] * number[cell[0]] * len(number)) for cell in cells]
    return np.array(share) * len(cells)


def scene_weights(labels: ArrayLike, scenes: Iterable[Hashable]) -> NDArray[np.float64]:
    """Weights ``[N]`` under which the photos of a class that show one scene are worth one together.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        scenes: of each photo, ``[N]``.
    """
    cells = list(zip((np.asarray(labels).ravel() == 1).tolist(), scenes, strict=True))
    size = Counter(cells)
    return np.array([1.0 / size[cell] for cell in cells])


def share_shift(asked: float, had: float) -> float:
    """What another share of others adds to the logit of P(plant).

    By Saerens, Latinne and Decaestecker 2002, *Adjusting the outputs of a classifier to new a
    priori probabilities*, equation 2.4.

    Args:
        asked: of the photos to come, inside (0, 1).
        had: that P(plant) is of, inside (0, 1).
    """
    return math.log((1 - asked) / asked) - math.log((1 - had) / had)
