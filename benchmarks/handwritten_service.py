"""The service that a user would write by hand: what plantood is measured against.

One API that takes an image, decodes it whole with Pillow, and calls `keras.Model.predict`.
"""

from __future__ import annotations

import os

import bentoml
import numpy as np
from PIL.Image import Image


@bentoml.service(traffic={"timeout": 120})
class HandwrittenGate:
    """ResNet50 and a head, loaded from the `.keras` file that HANDWRITTEN_MODEL names."""

    def __init__(self) -> None:
        import keras

        self.model = keras.models.load_model(os.environ["HANDWRITTEN_MODEL"], compile=False)

    @bentoml.api
    def check(self, image: Image) -> dict[str, float | str]:
        """Resize the photo to the network's input and threshold P(plant)."""
        pixels = np.asarray(image.convert("RGB").resize((224, 224)), dtype=np.uint8)
        probability = float(self.model.predict(pixels[None], verbose=0).reshape(-1)[0])
        return {
            "verdict": "accept" if probability >= 0.5 else "retake",
            "plant_probability": probability,
        }
