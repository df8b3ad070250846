"""What a gate learned after its training: a linear correction of what it said before.

The network stays as it is. The calibrated logit of P(plant) is scaled, and a linear function of the
embedding of length 1 is added: the smallest change by which a handful of photos can teach a gate,
and one that costs a dot product a photo. Needs only NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.arrays import Arrays, Floats, ensure_are, products, unit
from plantood.model.parts.calibration import logit, sigmoid


@dataclass(frozen=True)
class Correction(Arrays):
    """``gain * logit + kernel . embedding / |embedding| + bias``.

    Attributes:
        gain: float32 scalar array; 1 leaves what the gate said as it is.
        kernel: float32 [C].
        bias: float32 scalar array.
    """

    gain: Floats
    kernel: Floats
    bias: Floats

    def ensure_sound(self) -> None:
        """As of all `Arrays`; the shapes are those above."""
        super().ensure_sound()
        ensure_are("f", gain=(self.gain, ()), bias=(self.bias, ()))
        ensure_are("f", kernel=(self.kernel, (self.kernel.size,)))

    def logit(
        self, logit: NDArray[np.floating], embedding: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Correct logits [N], given the embeddings [N,C]; float64 [N]."""
        added = products(unit(embedding), self.kernel)
        return np.asarray(self.gain * np.asarray(logit, np.float64) + added + self.bias)

    def plant_probability(
        self, plant_probability: NDArray[np.floating], embedding: NDArray[np.floating]
    ) -> Floats:
        """Correct P(plant).

        Args:
            plant_probability: Without it, [N], 0..1.
            embedding: [N,C].

        Returns:
            float32 [N], 0..1.
        """
        corrected = self.logit(logit(plant_probability), embedding)
        return sigmoid(corrected).astype(np.float32)
