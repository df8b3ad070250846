"""What a gate of :mod:`benchmarks.starter_rows` is worth, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import sqrt
from statistics import fmean
from time import process_time

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t
from threadpoolctl import threadpool_limits

from plantood.model.parts.neighbours import Neighbours
from plantood.model.runtime import Scorer
from plantood.training.common.intervals import CONFIDENCE, mean
from plantood.training.common.tables import markdown
from plantood.training.judging.unseen import Accepted, by_unit
from plantood.training.starter.leave_out import COSTS
from plantood.training.starter.roles import TOGETHER

ROUNDS, PHOTOS = 7, 16
"""Of the measurement of time."""


@dataclass(frozen=True)
class Measured:
    """A row: what is accepted of each unit of sources, 0..1, and the time."""

    kept: NDArray[np.float64]
    accepted: NDArray[np.float64]
    """Of units of others."""
    milliseconds: float

    @classmethod
    def of(cls, shares: Iterable[Accepted], milliseconds: float) -> Measured:
        """From the shares of the sources."""
        kept, accepted = (
            np.array([*map(fmean, by_unit([s for s in shares if s.label == label], TOGETHER))])
            for label in ("plant", "other")
        )
        return cls(kept, accepted, milliseconds)

    @property
    def cost(self) -> float:
        """Of 100 photos of each class, in plants sent back."""
        lost = COSTS.false_retake_cost * (1 - self.kept.mean())
        return float(100 * (COSTS.false_accept_cost * self.accepted.mean() + lost))

    def change(self, to: Measured) -> str:
        """Of the cost, from another row of the same units, with its interval."""
        accepted = 100 * COSTS.false_accept_cost * (self.accepted - to.accepted)
        lost = 100 * COSTS.false_retake_cost * (to.kept - self.kept)
        middle, low, high = sum_of_means(accepted, lost)
        return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def sum_of_means(one: ArrayLike, other: ArrayLike) -> tuple[float, float, float]:
    """The sum of two independent means with its 95 % interval.

    By Student's t with the degrees of freedom of Welch 1947, *The generalization of Student's
    problem when several different population variances are involved*.

    Args:
        one: figures of some units, ``[N]``.
        other: of other units, ``[M]``.
    """
    parts = [np.asarray(values, float) for values in (one, other)]
    middle = sum(float(part.mean()) for part in parts)
    squares = [float(part.var(ddof=1)) / len(part) for part in parts]
    if not any(squares):
        return middle, middle, middle
    freedom = sum(squares) ** 2 / sum(
        square**2 / (len(part) - 1) for square, part in zip(squares, parts, strict=True)
    )
    wide = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * sqrt(sum(squares))
    return middle, middle - wide, middle + wide


def pass_times(scorers: Mapping[str, Scorer], neighbours: Neighbours) -> dict[str, float]:
    """Milliseconds of one core for one photo, by backbone, and of asking the memory.

    CPU time of single photos, the least of some rounds in which all take turns.

    Args:
        scorers: of one thread.
        neighbours: the memory.
    """
    rng = np.random.default_rng(0)
    best = dict.fromkeys([*scorers, "memory"], np.inf)
    embedding = rng.random((1, neighbours.channels), np.float32)
    call: Callable[[], object]
    for name in ROUNDS * [*best]:
        if name == "memory":
            call = partial(neighbours.distances, embedding)
        else:
            side = scorers[name].input_size
            photo = rng.integers(0, 256, (1, side, side, 3), np.uint8)
            call = partial(scorers[name].feature_map, photo)
        with threadpool_limits(1, user_api="blas"):
            start = process_time()
            for _ in range(PHOTOS):
                call()
            best[name] = min(best[name], 1000 * (process_time() - start) / PHOTOS)
    return best


def table(rows: Mapping[str, tuple[Measured, Measured | None]], shipped: Measured) -> str:
    """Each row with the one that it is compared with."""
    header = ["gate", "plants kept", "false accepts", "cost", "difference of cost"]
    header += ["ms a photo", "times the starter's"]
    lines = [
        [
            *(name, mean(one.kept), mean(one.accepted), f"{one.cost:.1f}"),
            "" if base is None else one.change(base),
            f"{one.milliseconds:.1f}",
            f"{one.milliseconds / shipped.milliseconds:.1f}",
        ]
        for name, (one, base) in rows.items()
    ]
    return markdown(header, lines)
