"""How far a gate may move for a handful of photos, as these tell by being left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.calibration import sigmoid
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory
from plantood.training.adapt.correction.correct import PENALTY, NewPhotos, fit_correction
from plantood.training.judging.decision.threshold import FEWEST
from plantood.training.judging.metrics import cross_entropy
from plantood.training.process.progress import track

PENALTIES = (PENALTY, 0.1, 0.03)
"""From strong to weak. Weaker ones hardly keep more plants of a new source."""
FOLDS = 5
NOISE = 2.0
"""Standard errors; with one, two in five sets of photos that taught nothing moved the gate."""


def choose_penalty(memory: Memory, photos: NewPhotos, start: Correction) -> float:
    """The strongest of `PENALTIES` that is as good as the best of them, within the noise.

    The photos are divided by scene, and each part is judged by corrections that were fitted without
    it. As good is a mean loss that exceeds the lowest by at most ``NOISE`` standard errors of the
    difference, classes counting alike, and the scenes of a class, however many photos show them
    (after Breiman et al. 1984, *Classification and Regression Trees*, section 3.4.3). With photos
    of one class, or under ``FEWEST`` scenes of either, it is the strongest: they would always have
    their class for everything.

    Args:
        memory: of the gate.
        photos: the new ones.
        start: the correction that the gate has.
    """
    if min(photos.scenes(True), photos.scenes(False)) < FEWEST:
        return PENALTIES[0]
    part = parts(photos)
    losses = np.empty((len(PENALTIES), len(photos)))
    tried = zip(losses, PENALTIES, strict=True)
    for row, penalty in track(tried, len(PENALTIES), "Choosing how far the gate may move"):
        whole = fit_correction(memory, photos, start, penalty=penalty)
        for number in range(FOLDS):
            left_out = photos.part(part == number)
            if len(left_out):
                rest = photos.part(part != number)
                correction = fit_correction(memory, rest, start, penalty=penalty, begin=whole)
                said = sigmoid(correction.logit(left_out.logit, left_out.embedding))
                row[part == number] = cross_entropy(left_out.plant, said)
    _, cell, shown = np.unique(  # a scene with both classes is two cells
        2 * photos.scene + photos.plant, return_inverse=True, return_counts=True
    )
    alike = np.where(photos.plant, photos.scenes(True), photos.scenes(False))
    weights = 0.5 / (alike * shown[cell])
    means = losses @ weights
    best = int(np.argmin(means))
    more = losses - losses[best]
    around = weights * (more - (more @ weights)[:, None])
    scene = np.unique(photos.scene, return_inverse=True)[1]
    noise = np.sqrt([np.square(np.bincount(scene, row)).sum() for row in around])
    return PENALTIES[int(np.flatnonzero(means <= means[best] + NOISE * noise)[0])]


def parts(photos: NewPhotos) -> NDArray[np.int64]:
    """The part of each photo ``[M]``, 0 to `FOLDS` - 1: scenes whole, classes nearly even."""
    scenes, first = np.unique(photos.scene, return_index=True)
    order = np.lexsort((scenes, photos.plant[first]))
    part = np.empty(len(scenes), np.int64)
    part[order] = np.arange(len(scenes)) % FOLDS
    return part[np.searchsorted(scenes, photos.scene)]
