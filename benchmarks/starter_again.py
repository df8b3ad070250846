"""The starter, if it looked again at the crops of photos that it is not sure of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.arrays import unit as of_length_1
from plantood.model.parts.calibration import logit, sigmoid
from plantood.model.parts.neighbours import Neighbours
from plantood.training.features.cache import embed
from plantood.training.features.extractor import Extractor
from plantood.training.fitting.probe import Probe
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.unseen import Accepted
from plantood.training.photos.augment import fit
from plantood.training.photos.division.units import units_of
from plantood.training.process.progress import track
from plantood.training.recipe.draw import load
from plantood.training.starter.leave_out import COSTS

BORDERLINE = 0.3, 0.95
"""P(plant) of a photo that is looked at again."""
CROP = 0.75
"""Of each side of the photo: four corners and the middle."""
CROPS = 5

Gate = Callable[[frozenset[str]], tuple[Probe, Neighbours]]
"""Probe and memory without some sources."""
Near = Mapping[frozenset[str], NDArray[np.bool_]]
"""By unit, the photos ``[N]`` that are looked at again by a rule without it."""


def crops(path: Path) -> list[NDArray[np.uint8]]:
    """The four corners and the middle of a photo, as the gate would see them."""
    photo = load(path)
    sides = [round(CROP * side) for side in photo.shape[:2]]
    down, right = (side - kept for side, kept in zip(photo.shape[:2], sides, strict=True))
    places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    return [fit(np.ascontiguousarray(photo[y : y + sides[0], x : x + sides[1]])) for y, x in places]


def borderline(unseen: Unseen) -> Near:
    """Which photos are looked at again, for every unit by a rule without it."""
    everything = np.ones(len(unseen.plant), np.bool_)
    low, high = BORDERLINE
    near = {}
    for unit in units_of(unseen.sources.tolist(), unseen.together):
        p = unseen.judged(unseen.rule(COSTS, without=unit), everything)
        near[unit] = np.asarray((low <= p) & (p <= high))
    return near


def look_again(
    unseen: Unseen, near: NDArray[np.bool_], paths: list[Path], gate: Gate, extractor: Extractor
) -> Unseen:
    """The same, but of photos that are near, with what is said of their crops: the mean of all six.

    Args:
        unseen: what gates say of photos whose sources they have not seen.
        near: photos ``[N]`` that are looked at again.
        paths: of all photos.
        gate: that said it.
        extractor: its backbone.
    """
    logits, margins = np.ravel(logit(unseen.probabilities)), np.array(unseen.margins)
    units = units_of(unseen.sources.tolist(), unseen.together)
    for unit in track(units, len(units), "Looking at crops"):
        rows = np.flatnonzero(near & np.isin(unseen.sources, sorted(unit)))
        if not len(rows):
            continue
        probe, neighbours = gate(unit)
        pictures = (crop for n in rows for crop in crops(paths[n]))
        embedding = of_length_1(np.stack([*embed(pictures, extractor.scorer.feature_map)]))
        for values, said in (
            (logits, probe.logits(embedding)),
            (margins, neighbours.distances(embedding).margin),
        ):
            values[rows] = np.column_stack([values[rows], said.reshape(-1, CROPS)]).mean(axis=1)
    return replace(unseen, probabilities=sigmoid(logits)[None], margins=margins)


def accepted_again(unseen: Unseen, again: Unseen, near: Near) -> list[Accepted]:
    """Every source by a rule that was chosen without its unit, on what is said after both looks.

    Args:
        unseen: what the gates say at the first look.
        again: what they say at the second, of all photos that any rule looks at again.
        near: which photos that is by unit.
    """
    shares = []
    for unit, looked in near.items():
        both = replace(
            unseen,
            probabilities=np.where(looked, again.probabilities, unseen.probabilities),
            margins=np.where(looked, np.array(again.margins), np.array(unseen.margins)),
        )
        rule = both.rule(COSTS, without=unit)
        mine = np.isin(both.sources, sorted(unit))
        shares += both.accepted_by(rule, mine)
    return shares
