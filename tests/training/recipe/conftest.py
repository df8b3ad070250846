from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest


class Shrunk:
    """Stands in for the backbone's session: a picture's feature map is the picture, shrunk."""

    feature_shape = (7, 7, 3)

    def feature_map(self, batch: np.ndarray) -> np.ndarray:
        """uint8 ``[N, 224, 224, 3]`` to float32 ``[N, 7, 7, 3]``."""
        blocks = batch.reshape(len(batch), 7, 32, 7, 32, 3)
        return blocks.mean(axis=(2, 4), dtype=np.float32)


@dataclass(frozen=True)
class TinyExtractor:
    """As much of `plantood.training.features.extractor.Extractor` as the bank uses."""

    digest: str = "tiny"
    scorer: Shrunk = field(default_factory=Shrunk)


@pytest.fixture
def extractor() -> TinyExtractor:
    return TinyExtractor()
