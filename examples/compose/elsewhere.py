"""The gate runs in a deployment of its own."""

import os

import bentoml
import PIL.Image
from my_detector import Diagnosis, diagnose

from plantood.compose import GatedService, RemoteGate, gated


@bentoml.service(service_class=GatedService)
class Detector:
    def __init__(self) -> None:
        self.gate = RemoteGate(os.environ["GATE_URL"], timeout_s=10, retries=2)

    @bentoml.api
    @gated
    def diagnose(self, photo: PIL.Image.Image) -> Diagnosis:
        return diagnose(photo)
