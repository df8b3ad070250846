"""P(plant) made to mean what it says, by a line in its logit that photos not trained on give."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from plantood.model.parts.calibration import Calibration, logit, sigmoid
from plantood.training.judging.decision.threshold import FEWEST
from plantood.training.judging.metrics import cross_entropy
from plantood.training.judging.outcomes import scene_weights, share_shift, source_weights

Method = Literal["none", "temperature", "platt", "neighbours"]
METHODS: tuple[Method, ...] = ("none", "temperature", "platt", "neighbours")
"""By falling simplicity; of equally good ones the first is taken."""
FREE: Mapping[Method, list[int]] = {
    "none": [],
    "temperature": [0],
    "platt": [0, 1],
    "neighbours": [0, 2],
}
"""What each chooses, of slope, intercept and weight of the margin; the others stay 1, 0 and 0."""
FOLDS = 10
SOURCE_FOLDS = 30
"""Up to so many sources are left out one by one."""


@dataclass(frozen=True)
class FittedCalibration:
    """A calibration, how it was chosen, and what it rests on."""

    method: Method
    calibration: Calibration
    """Everything that is applied: the method's line, the loss's weights and the shift of share."""
    log_loss: Mapping[Method, float] = field(default_factory=dict)
    """Of each method on photos that it was not fitted on; empty if there were too few to tell."""
    plants: int = 0
    others: int = 0
    share_of_others: float | None = None
    """That P(plant) is calibrated for; None: that of the photos it was fitted on, or the scenes."""
    weights: tuple[float, float] = (1.0, 1.0)
    """Of false accepts and false retakes in the loss, which are taken out again."""

    @property
    def served(self) -> Calibration | None:
        """What the gate model is to carry; None if nothing is to be changed."""
        return None if self.calibration == Calibration() else self.calibration

    def apply(
        self, probabilities: ArrayLike, margins: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Calibrated P(plant) of the network's; the same array of numbers if nothing changes.

        Args:
            probabilities: ``[N]``.
            margins: of the same photos, ``[N]``, for *neighbours*.
        """
        if self.served is None:
            return np.asarray(probabilities, np.float32)
        return self.served.apply(probabilities, 0.0 if margins is None else margins)

    def remembering(self, pictures: int) -> FittedCalibration:
        """The same, its margins, if it has any, measured to so many pictures of the memory."""
        if not self.calibration.margin:
            return self
        return replace(self, calibration=replace(self.calibration, pictures=pictures))

    def in_words(self) -> str:
        """What was chosen, and what it does to the log loss."""
        line = self.calibration
        told = f"{self.method} (slope {line.slope:.3f}, intercept {line.intercept:.3f}"
        told += f", margin {line.margin:.2f})" if line.margin else ")"
        if not self.log_loss:
            return f"{told}: too few photos to calibrate by"
        losses = ", ".join(f"{name} {loss:.4f}" for name, loss in self.log_loss.items())
        return f"{told}, by the log loss on photos that it was not fitted on: {losses}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def fit_calibration(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    share_of_others: float | None = None,
    weights: tuple[float, float] = (1.0, 1.0),
    sources: Sequence[str] | None = None,
    groups: Sequence[Hashable] | None = None,
    margins: ArrayLike | None = None,
    methods: Sequence[Method] | None = None,
) -> FittedCalibration:
    """The line that calibrates these probabilities best, of three kinds, or of four.

    *none* leaves the logit; *temperature* scales it (Guo et al. 2017, *On calibration of modern
    neural networks*, section 4.2); *platt* also moves it (Platt 1999, *Probabilistic outputs for
    support vector machines*); *neighbours* scales it and adds how much nearer the plants are that
    the gate remembers, if that is known. They are fitted to Platt's targets, ``(n + 1) / (n + 2)``
    and ``1 / (n + 2)`` instead of 1 and 0, so that photos that are told apart without an error do
    not make the line infinitely steep. Taken is the kind with the lowest log loss on photos that it
    was not fitted on; with fewer than ``FEWEST`` photos of a class it is *none*.

    Before that, weights of the loss are taken out of the odds, which they scale by ``retake /
    accept`` (Elkan 2001). After it, the odds are moved from the share of others in these photos to
    the one expected (Saerens, Latinne and Decaestecker 2002, *Adjusting the outputs of a classifier
    to new a priori probabilities*, equation 2.4). Where sources are given, their photos are weighed
    so that others have that share to begin with. With groups alone each scene counts once, its
    photos sharing that: in the line, in what chooses it, and in the share of others.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant) as the network gives it, ``[N]``, 0..1: of validation photos, or
            better of photos of left-out sources, pooled.
        share_of_others: of the photos to come, inside (0, 1); by default that of these photos.
        weights: of false accepts and false retakes in the loss that was trained with.
        sources: of each photo, ``[N]``, if the model has seen none of them: then all sources of a
            class count alike, and by default the classes, too.
        groups: of each photo, ``[N]``: no line is judged on a group that it was fitted to. With
            sources, a name that those share which belong together, by default the source; without,
            its scene, and it is scenes that count and that have to be ``FEWEST``.
        margins: of each photo by a memory without its source, ``[N]``, -2..2.
        methods: to choose from; by default all that can be.

    Raises:
        ValueError: a share that is not inside (0, 1).
    """
    if share_of_others is not None and not 0 < share_of_others < 1:
        raise ValueError("the share of others must be between 0 and 1")
    y = np.asarray(labels).ravel() == 1
    plants, others = int(y.sum()), int((~y).sum())
    x = logit(np.ravel(np.asarray(probabilities))) + math.log(weights[0] / weights[1])
    of = None if sources is None else np.asarray(sources)
    group = of if groups is None else np.asarray(groups)
    share = 0.5 if share_of_others is None else share_of_others
    worth = np.ones(len(y)) if of is not None or group is None else scene_weights(y, group)
    shown = float(worth[y].sum()), float(worth[~y].sum())
    enough = round(min(shown)) >= FEWEST
    known = methods or (METHODS if margins is not None else METHODS[:-1])
    inputs = np.column_stack(
        [x, np.ones(len(y)), np.zeros(len(y)) if margins is None else np.ravel(margins)]
    )
    losses = _cross_fitted(known, y, inputs, of, share, worth=worth, groups=group) if enough else {}
    method = min(losses, key=losses.__getitem__, default=METHODS[0])
    line = _fit(method, y, inputs, worth, _counting(y, worth, of, share))
    assert line is not None  # a line that fell has no loss
    slope, intercept, margin = line.tolist()
    intercept += slope * math.log(weights[0] / weights[1])
    if share_of_others is not None and of is None and plants and others:
        intercept += share_shift(share, shown[1] / sum(shown))
    made = Calibration(slope, intercept, margin)
    return FittedCalibration(method, made, losses, plants, others, share_of_others, weights)


def _cross_fitted(
    methods: Sequence[Method],
    y: NDArray[np.bool_],
    inputs: NDArray[np.float64],
    sources: NDArray[np.str_] | None,
    share: float,
    *,
    worth: NDArray[np.float64],
    groups: NDArray[Any] | None,
) -> dict[Method, float]:
    """Log loss by method, each photo judged by a line that was fitted without it."""
    total = dict.fromkeys(methods, 0.0)
    counting = _counting(y, worth, sources, share)
    for fitted, judged in _folds(y, sources, groups):
        # Balanced anew: without one of its sources, a class would seem rarer than it is.
        of_fitted = None if sources is None else sources[fitted]
        own = _counting(y[fitted], worth[fitted], of_fitted, share)
        for method in list(total):
            line = _fit(method, y[fitted], inputs[fitted], worth[fitted], own)
            if line is None:
                del total[method]
            else:
                p = sigmoid(inputs[judged] @ line)
                total[method] += float(counting[judged] @ cross_entropy(y[judged], p))
    return {method: loss / float(worth.sum()) for method, loss in total.items()}


def _counting(
    y: NDArray[np.bool_],
    worth: NDArray[np.float64],
    sources: NDArray[np.str_] | None,
    share: float,
) -> NDArray[np.float64]:
    """How much each photo counts, ``[N]``: with sources, others have the share together."""
    if sources is None:
        return worth
    return source_weights(y, sources.tolist()) * np.where(y, 2 * (1 - share), 2 * share)


def _folds(
    y: NDArray[np.bool_], sources: NDArray[np.str_] | None, groups: NDArray[Any] | None
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Photos to fit to and photos to judge, each photo judged once: by group if that is told."""
    fewest = min(
        len({*groups[y == one]}) if groups is not None else int(np.sum(y == one)) for one in (0, 1)
    )
    if sources is not None and groups is not None and fewest > 1:
        few = len({*groups}) <= SOURCE_FOLDS
        parts = LeaveOneGroupOut() if few else GroupKFold(SOURCE_FOLDS)
        yield from parts.split(y, groups=groups)
    elif sources is None and groups is not None:
        folds = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=0)
        yield from folds.split(y, y, groups)
    else:
        count = min(FOLDS, int(y.sum()), int((~y).sum()))
        yield from StratifiedKFold(count, shuffle=True, random_state=0).split(y, y)


def _fit(
    method: Method,
    y: NDArray[np.bool_],
    inputs: NDArray[np.float64],
    worth: NDArray[np.float64],
    counting: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Slope, intercept and weight of the margin, ``[3]``, for inputs ``[N, 3]`` in this order.

    ``worth`` says how many photos each is, ``[N]``: a scene is one. ``counting`` is how much each
    counts. None if the slope is not positive or the margin counts the wrong way round.
    """
    line = np.array([1.0, 0.0, 0.0])
    free = FREE[method]
    if not free:
        return line
    x, share = inputs[:, free], counting / counting.sum()
    plants, others = worth[y].sum(), worth[~y].sum()
    targets = np.where(y, (plants + 1) / (plants + 2), 1 / (others + 2))

    def loss(chosen: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ chosen
        value = share @ (np.logaddexp(0, z) - targets * z)
        return float(value), x.T @ (share * (sigmoid(z) - targets))

    found = minimize(loss, line[free], jac=True, method="L-BFGS-B", options={"ftol": 1e-12})
    line[free] = found.x
    return line if line[0] > 0 and line[2] >= 0 else None
