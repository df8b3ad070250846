"""No other process: the network runs in the service's own."""

import bentoml
import PIL.Image
from my_detector import Diagnosis, diagnose

from plantood.compose import GatedService, gate_model, gated


@bentoml.service(service_class=GatedService)
class Detector:
    gate = gate_model()

    @bentoml.api
    @gated
    def diagnose(self, photo: PIL.Image.Image) -> Diagnosis:
        return diagnose(photo)
