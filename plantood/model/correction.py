"""What a gate learned after its training: a linear correction of what its head says.

The network stays as it is. The head's log-odds of P(plant) are scaled, and a linear function of the
embedding of length 1 is added: the smallest change by which a handful of photos can teach a gate,
and one that costs a dot product a photo. Needs only NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.model.memory import Floats, log_odds_of, unit


@dataclass(frozen=True)
class Correction:
    """``gain * log-odds + kernel . embedding / |embedding| + bias``.

    Attributes:
        gain: float32 scalar array; 1 leaves what the head says as it is.
        kernel: float32 [C].
        bias: float32 scalar array.
    """

    gain: Floats
    kernel: Floats
    bias: Floats

    def log_odds(
        self, log_odds: NDArray[np.floating], embedding: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Correct log-odds [N], given the embeddings [N,C]; float64 [N]."""
        added = unit(embedding) @ self.kernel
        return np.asarray(self.gain * np.asarray(log_odds, np.float64) + added + self.bias)

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
        corrected = self.log_odds(log_odds_of(plant_probability), embedding)
        return np.asarray(0.5 * (1 + np.tanh(corrected / 2)), np.float32)

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
