"""The starter's rule, chosen by gates that have not seen the sources that it judges either.

Calibration and threshold of a unit of sources are chosen on what is said of the other units by
gates without each of these. For :mod:`benchmarks.starter_rows` such gates are fitted without the
judged unit, too: one gate for every two units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.calibration import sigmoid
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.unseen import Accepted
from plantood.training.photos.division.units import units_of
from plantood.training.process.progress import track
from plantood.training.recipe.samples import Sample
from plantood.training.starter.leave_out import COSTS, Trainer

Said = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits and margins ``[U, N]`` of all photos, by gates without a unit and without the photo's."""


def said_by_pairs(ships: Unseen, samples: Sequence[Sample], train: Trainer, file: Path) -> Said:
    """What gates without two units say of the photos of both; computed once.

    Args:
        ships: the photos of the samples, in their order.
        samples: of the recipe.
        train: fits without some sources, and scores rows of the samples.
        file: keeps what was computed.
    """
    if not file.exists():
        photos = np.array([n for n, sample in enumerate(samples) if sample.kind == "photo"])
        units = units_of(ships.sources.tolist(), ships.together)
        own = [np.flatnonzero(np.isin(ships.sources, sorted(unit))) for unit in units]
        logits, margins = np.full((2, len(units), len(photos)), np.nan, np.float32)
        pairs = list(combinations(range(len(units)), 2))
        for one, other in track(pairs, len(pairs), "Leaving two units out"):
            both = np.concatenate([own[one], own[other]])
            said, margin = train(units[one] | units[other], photos[both])
            for without, of in ((one, other), (other, one)):
                mine = np.isin(both, own[of])
                logits[without, both[mine]], margins[without, both[mine]] = said[mine], margin[mine]
        np.savez(file, logits=logits, margins=margins)
    with np.load(file, allow_pickle=False) as arrays:
        return arrays["logits"], arrays["margins"]


def accepted_apart(ships: Unseen, said: Said) -> list[Accepted]:
    """Every source, by a rule of whose photos and of whose gates its unit was no part.

    Args:
        ships: what a gate without each unit says of it.
        said: of the others, see :func:`said_by_pairs`.
    """
    shares = []
    units = units_of(ships.sources.tolist(), ships.together)
    for unit, logits, margins in zip(units, *said, strict=True):
        own = np.isin(ships.sources, sorted(unit))
        by_others = replace(ships, probabilities=sigmoid(logits)[None], margins=margins)
        rule = by_others.rule(COSTS, without=unit)
        shares += ships.accepted_by(rule, own)
    return shares
