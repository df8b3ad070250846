"""The decorator: the method itself stays as it was."""

import bentoml
import PIL.Image
from my_detector import Diagnosis, diagnose

from plantood.compose import GatedService, PlantScorer, gated


@bentoml.service(service_class=GatedService)
class Detector:
    gate = bentoml.depends(PlantScorer)

    @bentoml.api
    @gated
    def diagnose(self, photo: PIL.Image.Image) -> Diagnosis:
        return diagnose(photo)
