"""A detector with the gate in front of it, in one bento: all metrics that there are.

Its class puts them on a port of their own, as the gate's does.
"""

from __future__ import annotations

import bentoml
from PIL.Image import Image

from plantood.compose import GatedService, PlantGate, gated


@bentoml.service(service_class=GatedService)
class Detector:
    """Finds every plant healthy; what counts is what happens before."""

    gate = bentoml.depends(PlantGate)

    @bentoml.api
    @gated
    def diagnose(self, image: Image) -> str:
        return "healthy"
