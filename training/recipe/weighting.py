"""How much every sample counts: both classes alike, every source by the root of its size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.training.negatives.synthetic import FRAMES
from plantood.training.recipe.samples import PLANT_KINDS, Sample

PLANT_SHARES = {"planted": 0.25, "planted_toned": 0.06, "toned": 0.06, "closeup": 0.15}
OTHER_SHARES = {
    "bare": 0.13,
    "seam": 0.08,
    "window": 0.05,
    "ground": 0.22,
    "green": 0.06,
    "green_seam": 0.04,
} | dict.fromkeys(FRAMES, 0.08 / len(FRAMES))
"""Shares of a class that made pictures have; photos and their copies have what is left."""


def sample_weights(
    samples: list[Sample],
    left_out: frozenset[str] = frozenset(),
    unlearned: frozenset[Path] = frozenset(),
    *,
    counted_less: Mapping[str, float] | None = None,
    plant_shares: Mapping[str, float] = PLANT_SHARES,
    other_shares: Mapping[str, float] = OTHER_SHARES,
) -> NDArray[np.float64]:
    """``[N]``, summing to 1; 0 for the test split and for all that a left-out source is part of.

    Args:
        samples: of which both classes have some with a weight.
        left_out: names of sources.
        unlearned: photos that nothing is to be learned from, such as those of doubtful label; what
            one of them went into counts for nothing.
        counted_less: factors of sources, 0..1, see `Roles`.
        plant_shares: of made pictures among the plants, by kind; photos and copies have the rest.
        other_shares: likewise among the others.
    """
    kind = np.array([sample.kind for sample in samples])
    plant = np.array([sample.plant for sample in samples])
    source = np.array([sample.sources[0] if len(sample.sources) == 1 else "" for sample in samples])
    usable = np.array(
        [
            not (
                s.measured_only
                or left_out.intersection(s.sources)
                or unlearned.intersection(s.paths)
            )
            for s in samples
        ]
    )
    weights = np.zeros(len(samples))
    for label, shares in ((True, plant_shares), (False, other_shares)):
        of_class = usable & (plant == label)
        rest = 1.0
        for name, share in shares.items():
            chosen = of_class & (kind == name)
            if chosen.any():
                weights[chosen] = share / chosen.sum()
                rest -= share
        own = of_class & np.isin(kind, ("photo", "copy"))
        sizes = {
            s: np.sqrt(np.sum(own & (source == s) & (kind == "photo")))
            for s in sorted(set(source[own]))
        }
        for name, size in sizes.items():
            chosen = own & (source == name)
            weights[chosen] = rest * size / sum(sizes.values()) / chosen.sum()
        for name, factor in (counted_less or {}).items():
            weights[of_class & (source == name)] *= factor
        weights[of_class] *= 0.5 / weights[of_class].sum()
    assert set(kind[plant]) <= PLANT_KINDS | {"photo", "copy"}
    return weights
