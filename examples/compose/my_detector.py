"""Stands for the detector that you have: how much of a leaf is no longer green."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel

from plantood.compose import Verdict


class Diagnosis(BaseModel):
    """What the detector says of a photo."""

    disease: str
    share: float


class Answer(BaseModel):
    """What a service says that asks the gate itself: the verdict, and of an accepted photo more."""

    verdict: Verdict
    diagnosis: Diagnosis | None = None


def diagnose(photo: Path | Image.Image) -> Diagnosis:
    """Share of the pixels in which there is more red than green, as in chlorotic tissue."""
    image = photo if isinstance(photo, Image.Image) else Image.open(photo)
    red, green, _ = np.asarray(image.convert("RGB"), np.int16).transpose(2, 0, 1)
    share = float((red > green).mean())
    return Diagnosis(disease="chlorosis" if share > 0.2 else "none", share=round(share, 3))
