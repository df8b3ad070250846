"""From a gate's memory and a handful of new photos to the correction of its head.

The correction is fitted to both at once, so what is learned is weighed against what was known: to
the labels of the new photos, and to what the gate has been saying of the old ones (learning without
forgetting, Li and Hoiem 2016, https://arxiv.org/abs/1606.09282). So without new photos nothing
changes, whatever a gate was trained for, and where its threshold lies stays right. A head of any
kind keeps its say: its logit is one of the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.arrays import Floats
from plantood.model.parts.calibration import sigmoid
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory
from plantood.training.adapt.correction.fit import Vector, fit_logistic
from plantood.training.process.progress import track

SHARE = 0.5
"""Of the weight of a class that the new photos of it have in the fit, however many they are: what
is new counts as much as all that is remembered. Little is forgotten by that, since the old
pictures are held to what the gate says of them."""
PENALTY = 0.3
"""Of a change of the kernel by one, in units of the variance along its direction; see
:func:`fit_correction`."""


@dataclass(frozen=True)
class NewPhotos:
    """What a gate is to learn from, scored."""

    embedding: Floats
    """``[M, C]``, as the scorer returns it."""
    logit: Floats
    """Of P(plant) as the gate gives it without any correction, ``[M]``."""
    plant: NDArray[np.bool_]
    scene: NDArray[np.int64]
    """Its number: near-duplicates have the same."""

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.plant)

    def scenes(self, plant: bool) -> int:
        """How many scenes the photos of a class show."""
        return len(np.unique(self.scene[self.plant == plant]))

    def part(self, chosen: NDArray[np.bool_]) -> NewPhotos:
        """Some of them."""
        return NewPhotos(**{name: value[chosen] for name, value in vars(self).items()})


def none(channels: int) -> Correction:
    """The correction that changes nothing, for an embedding of so many channels."""
    return Correction(
        np.array(1, np.float32), np.zeros(channels, np.float32), np.array(0, np.float32)
    )


def fit_correction(
    memory: Memory,
    photos: NewPhotos,
    start: Correction,
    *,
    share: float = SHARE,
    penalty: float = PENALTY,
    begin: Correction | None = None,
) -> Correction:
    """The correction of least weighted loss on memory and new photos together.

    Minimises the cross-entropy of ``gain * logit + kernel . embedding + bias`` with the labels of
    the new photos and with what the gate says of the old ones, plus ``penalty / 2`` times the
    squared distance of gain and kernel from where they start, each in units of the weighted
    standard deviation of its input. The kernel lies in the directions of the memory. The bias is
    free.

    Args:
        memory: of the gate.
        photos: may be none, or of one class only.
        start: the correction that the gate has; :func:`none` if it has none.
        share: of a class's weight that its new photos have together, 0..1, see
            :func:`memory_weights`.
        penalty: > 0.
        begin: that of nearly the same photos, from which this one is found sooner.
    """
    codes, _ = memory.encode(photos.embedding)
    x = np.column_stack(
        [
            np.concatenate([memory.logit, photos.logit]),
            np.concatenate([memory.codes.astype(np.float32), codes]),
            np.ones(len(memory) + len(photos)),
        ]
    ).astype(np.float64)
    targets = np.concatenate([sigmoid(memory_logits(memory, start)), photos.plant])
    weights = np.concatenate(memory_weights(memory, photos.plant, share))
    spread = weights @ np.square(x[:, :-1] - weights @ x[:, :-1])
    theta = fit_logistic(
        x,
        targets,
        weights,
        np.append(penalty * spread, 0.0),
        _coefficients(memory, start),
        begin=None if begin is None else _coefficients(memory, begin),
    )
    kernel = memory.directions.astype(np.float64).T @ theta[1:-1]
    return Correction(
        np.array(theta[0], np.float32),
        kernel.astype(np.float32),
        np.array(theta[-1] - memory.mean.astype(np.float64) @ kernel, np.float32),
    )


def _coefficients(memory: Memory, correction: Correction) -> Vector:
    """Of the logit, the codes of the memory, and 1."""
    along = memory.directions.astype(np.float64) @ correction.kernel
    bias = correction.bias + memory.mean.astype(np.float64) @ correction.kernel
    return np.concatenate([[correction.gain], along, [bias]])


def memory_weights(memory: Memory, plant: NDArray[np.bool_], share: float) -> tuple[Vector, Vector]:
    """Weights of the pictures of a memory and of new photos with these labels; they sum to 1.

    A class weighs what it did in the memory. If there are new photos of it, they have the share
    together, each the same, and the old ones keep their proportions.
    """
    old, new = memory.weight.astype(np.float64), np.zeros(len(plant))
    old = old / old.sum()
    for label in (True, False):
        mine = plant == label
        if mine.any():
            weight = old[memory.plant == label].sum()
            new[mine] = share * weight / mine.sum()
            old[memory.plant == label] *= 1 - share
    return old, new


def leave_each_out(
    memory: Memory,
    photos: NewPhotos,
    start: Correction,
    *,
    penalty: float = PENALTY,
    begin: Correction | None = None,
) -> Vector:
    """Corrected logits of the new photos ``[M]``, each by a correction fitted without its scene.

    Args:
        memory: of the gate.
        photos: the new ones.
        start: the correction that the gate has.
        penalty: as of :func:`fit_correction`.
        begin: the correction by all of them, from which the others are found sooner.
    """
    logits = np.empty(len(photos))
    scenes = np.unique(photos.scene)
    for number in track(scenes, len(scenes), "Judging each scene by the others"):
        left_out = photos.scene == number
        rest = photos.part(~left_out)
        correction = fit_correction(memory, rest, start, penalty=penalty, begin=begin)
        judged = photos.part(left_out)
        logits[left_out] = correction.logit(judged.logit, judged.embedding)
    return logits


def memory_logits(memory: Memory, correction: Correction) -> Vector:
    """Corrected logits of the pictures of a memory ``[N]``."""
    directions = memory.directions.astype(np.float32)
    along = directions @ correction.kernel
    added = memory.codes.astype(np.float32) @ along + memory.mean @ correction.kernel
    return np.asarray(correction.gain * memory.logit.astype(np.float64) + added + correction.bias)
