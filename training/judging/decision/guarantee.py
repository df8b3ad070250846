"""A threshold at which false accepts stay below a bound with a stated confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
    served: float | None
    """The threshold in force, which may be stricter; None without a promise."""
    others: int
    """Scenes: of others that show the same, the one of the highest P(plant) counts."""
    photos_of_others: int
    false_accepts: int
    """Of these scenes at the threshold in force; without a promise, at the strictest that lets a
    plant through."""
    upper_bound: float
    """Of their share, by Clopper and Pearson, one-sided at this confidence."""
    plants: int
    false_retakes: int
    """Of these plants at the threshold in force; 0 without a promise."""
    others_needed: int
    """Scenes with as many accepted, for this bound and this confidence."""

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
        others = (
            f"{self.others} others in {photos}"
            if self.others == self.photos_of_others
            else f"{self.others} scenes of others ({self.photos_of_others} photos) in {photos}"
        )
        if self.threshold is None or self.served is None:
            at_best = (
                f"if {self.false_accepts} of them are accepted, as by the strictest threshold that "
                "lets a plant through"
                if self.false_accepts
                else "if not one of them is accepted"
            )
            return (
                f"{asked}: not to be promised. {others} cannot carry it; {self.others_needed} are "
                f"needed {at_best}, {self.others_missing} more."
                if self.others_missing
                else f"{asked}: not to be promised. No threshold holds it on the {others}."
            )
        stricter = (
            f", and {self.served:.4f} serves. That" if self.served > self.threshold else ". It"
        )
        return (
            f"{asked}: from a threshold of {self.threshold:.4f} up{stricter} lets "
            f"{self.false_accepts} of {others} through, so at most {self.upper_bound:.2%} of all "
            f"{'' if self.others == self.photos_of_others else 'scenes of '}others like these, and "
            "sends back "
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
    scenes: ArrayLike | None = None,
    at_least: float = 0.0,
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

    It holds for photos drawn as these were, one independently of another: those of one scene are
    not, so of each scene's others only the one counts that is most like a plant. They must have had
    no part in training: not in the weights, nor in when training stopped, nor in which model was
    taken. A calibration that keeps the order of the photos may be fitted to them.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant), ``[N]``, 0..1.
        max_false_accept: share of others let through that is to be the most, inside (0, 1).
        confidence: that it is, inside (0, 1).
        scenes: a number of each photo ``[N]`` that photos of one scene share; by default each is a
            scene of its own.
        at_least: the threshold that serves if the bound asks for none that is stricter.

    Raises:
        ValueError: A bound or confidence that is not inside (0, 1).
    """
    if not (0 < max_false_accept < 1 and 0 < confidence < 1):
        raise ValueError("the bound and its confidence must be between 0 and 1")
    y = np.asarray(labels).ravel()
    p = np.asarray(probabilities, np.float64).ravel()
    scene = np.arange(len(y)) if scenes is None else np.asarray(scenes).ravel()
    plants, others = p[y == 1], np.sort(_highest(p[y != 1], scene[y != 1]))[::-1]
    risk = 1 - confidence
    # How many may be accepted: the p-value rises with them.
    allowed = int(np.sum(binom.cdf(np.arange(len(others)), len(others), max_false_accept) <= risk))
    threshold = served = None
    retaken = 0
    accepted = int(np.sum(others >= plants.max())) if len(plants) else 0
    if allowed and (above := p[p > others[allowed - 1]]).size:
        # Above the first photo too many (`allowed` counts from 0), and so far from it as the same
        # verdicts allow: the graph that serves may differ in the last digit.
        threshold = (float(others[allowed - 1]) + float(above.min())) / 2
        served = max(threshold, at_least)
        accepted, retaken = int(np.sum(others >= served)), int(np.sum(plants < served))
    return Guarantee(
        max_false_accept=max_false_accept,
        confidence=confidence,
        threshold=threshold,
        served=served,
        others=len(others),
        photos_of_others=int(np.sum(y != 1)),
        false_accepts=accepted,
        upper_bound=float(beta.ppf(confidence, accepted + 1, len(others) - accepted))
        if accepted < len(others)
        else 1.0,
        plants=len(plants),
        false_retakes=retaken,
        others_needed=others_needed(
            max_false_accept, confidence, accepted if threshold is None else 0
        ),
    )


def others_needed(max_false_accept: float, confidence: float = 0.95, accepted: int = 0) -> int:
    """Others that carry a bound if so many of them are accepted.

    The fewest ``n`` with ``P(Binomial(n, bound) <= accepted) <= 1 - confidence``: without any that
    is ``(1 - bound)^n``, so 299 for 1 % and 598 for 0.5 %, 95 % sure.
    """
    few, many = accepted, math.ceil(math.log(1 - confidence) / math.log1p(-max_false_accept))
    while binom.cdf(accepted, many, max_false_accept) > 1 - confidence:
        few, many = many, 2 * many
    while many - few > 1:  # the probability falls as there are more
        middle = (few + many) // 2
        if binom.cdf(accepted, middle, max_false_accept) > 1 - confidence:
            few = middle
        else:
            many = middle
    return many


def _highest(probabilities: NDArray[np.float64], scenes: NDArray[Any]) -> NDArray[np.float64]:
    """The highest of each scene."""
    names, scene = np.unique(scenes, return_inverse=True)
    highest = np.zeros(len(names))
    np.maximum.at(highest, scene, probabilities)
    return highest
