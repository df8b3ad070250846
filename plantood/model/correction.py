"""What a gate learned after its training: a linear correction of what its head says.

The network stays as it is. The head's logit of P(plant) is scaled, and a linear function of the
embedding of length 1 is added: the smallest change by which a handful of photos can teach a gate,
and one that costs a dot product a photo. Needs only NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.model.calibration import logit, sigmoid
from plantood.model.memory import Floats, unit


@dataclass(frozen=True)
class Correction:
    """``gain * logit + kernel . embedding / |embedding| + bias``.

    Attributes:
        gain: float32 scalar array; 1 leaves what the head says as it is.
        kernel: float32 [C].
        bias: float32 scalar array.
    """

    gain: Floats
    kernel: Floats
    bias: Floats

    def logit(
        self, logit: NDArray[np.floating], embedding: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Correct logits [N], given the embeddings [N,C]; float64 [N]."""
        added = unit(embedding) @ self.kernel
        return np.asarray(self.gain * np.asarray(logit, np.float64) + added + self.bias)

    def plant_probability(
        self, plant_probability: NDArray[np.floating], embedding: NDArray[np.floating]
    ) -> Floats:
        """Correct P(plant).

        Args:
            plant_probability: Of the head, [N], 0..1.
            embedding: [N,C].

        Returns:
            float32 [N], 0..1.
        """
        corrected = self.logit(logit(plant_probability), embedding)
        return sigmoid(corrected).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """Write it as ``.npz`` of plain arrays."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})


def load(path: str | Path) -> Correction:
    """Read what `Correction.save` wrote; never unpickles.

    Raises:
        ValueError: The file holds pickled objects or is no such archive.
        KeyError: An array is missing.
    """
    with np.load(path, allow_pickle=False) as arrays:
        return Correction(**{field.name: arrays[field.name] for field in fields(Correction)})
