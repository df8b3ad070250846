"""A threshold at which false accepts stay below a bound with a stated confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, binom

from plantood.training.common.intervals import share


@dataclass(frozen=True)
class Guarantee:
    """A bound on the share of others let through, and the threshold that holds it, if one does."""

    max_false_accept: float
    confidence: float
    threshold: float | None
    """The least strict that holds the bound, in the middle between two photos; None if the photos
    cannot carry it."""
    others: int
    false_accepts: int
    """Of these others at the threshold; 0 without one."""
    upper_bound: float
    """Of their share, by Clopper and Pearson, one-sided at this confidence."""
    plants: int
    false_retakes: int
    """Of these plants at the threshold; 0 without one."""
    others_needed: int
    """Without an error among them, for this bound and this confidence."""

    @property
    def others_missing(self) -> int:
        """How many more others are needed, none of them accepted; 0 if there are enough."""
        return max(0, self.others_needed - self.others)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Guarantee:
        """From :meth:`as_dict`."""
        return cls(**{one.name: values[one.name] for one in fields(cls)})

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"others_missing": self.others_missing}

    def in_words(self, photos: str) -> str:
        """What is promised, for which photos, and what it costs.

        Args:
            photos: which ones these are, such as ``test``.
        """
        asked = (
            f"At most {100 * self.max_false_accept:g} % of others accepted, "
            f"{100 * self.confidence:g} % sure"
        )
        if self.threshold is None:
            return (
                f"{asked}: not to be promised. {self.others} others in {photos} cannot carry it; "
                f"{self.others_needed} are needed if not one of them is accepted, "
                f"{self.others_missing} more."
                if self.others_missing
                else f"{asked}: not to be promised. No threshold holds it on the {self.others} "
                f"others in {photos}."
            )
        return (
            f"{asked}: from a threshold of {self.threshold:.4f} up. It lets {self.false_accepts} "
            f"of {self.others} others in {photos} through, so at most {self.upper_bound:.2%} of "
            "all photos like these, and sends back "
            f"{share(self.false_retakes, self.plants)} of the plants. It holds for others of the "
            "same kinds and in the same mixture as these, not for a camera or a place that is not "
            "among them."
        )


def guaranteed_threshold(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    max_false_accept: float,
    confidence: float = 0.95,
) -> Guarantee:
    """The least strict threshold at which the share of others accepted is below a bound.

    By Learn then Test (Angelopoulos, Bates, Candès, Jordan and Lei 2021, arXiv:2110.01052): for
    each threshold the hypothesis that the gate accepts more than ``max_false_accept`` of all
    others has the exact p-value ``P(Binomial(n, max_false_accept) <= k)`` of ``k`` accepted among
    ``n``. Thresholds are tested in a fixed sequence, from the strictest down, each at ``1 -
    confidence``, until one is not rejected (fixed sequence testing, with one start); so
    the probability that any of those passed breaks the bound is at most ``1 - confidence``. Both
    ``k`` and the share fall as the threshold rises, so the sequence may hold every threshold there
    is, and it is the same as asking for a Clopper-Pearson bound of at most ``max_false_accept``.

    It holds for photos drawn as these were. They must have had no part in training: not in the
    weights, nor in when training stopped, nor in which model was taken. A calibration that keeps
    the order of the photos may be fitted to them.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant), ``[N]``, 0..1.
        max_false_accept: share of others let through that is to be the most, inside (0, 1).
        confidence: that it is, inside (0, 1).

    Raises:
        ValueError: A bound or confidence that is not inside (0, 1).
    """
    if not (0 < max_false_accept < 1 and 0 < confidence < 1):
        raise ValueError("the bound and its confidence must be between 0 and 1")
    y = np.asarray(labels).ravel()
    p = np.asarray(probabilities).ravel()
    plants, others = p[y == 1], np.sort(p[y != 1])[::-1]
    risk = 1 - confidence
    # How many may be accepted: the p-value rises with them.
    allowed = int(np.sum(binom.cdf(np.arange(len(others)), len(others), max_false_accept) <= risk))
    threshold = None
    accepted = retaken = 0
    if allowed and (above := p[p > others[allowed - 1]]).size:
        # Above the first photo too many (`allowed` counts from 0), and so far from it as the same
        # verdicts allow: the graph that serves may differ in the last digit.
        threshold = (float(others[allowed - 1]) + float(above.min())) / 2
        accepted, retaken = int(np.sum(others >= threshold)), int(np.sum(plants < threshold))
    return Guarantee(
        max_false_accept=max_false_accept,
        confidence=confidence,
        threshold=threshold,
        others=len(others),
        false_accepts=accepted,
        upper_bound=float(beta.ppf(confidence, accepted + 1, len(others) - accepted))
        if accepted < len(others)
        else 1.0,
        plants=len(plants),
        false_retakes=retaken,
        others_needed=others_needed(max_false_accept, confidence),
    )


def others_needed(max_false_accept: float, confidence: float = 0.95) -> int:
    """Others without an error among them that carry a bound: ``(1 - bound)^n <= 1 - confidence``.

    299 for 1 % and 598 for 0.5 %, 95 % sure.
    """
    return math.ceil(math.log(1 - confidence) / math.log1p(-max_false_accept))
