"""A maize-disease detector behind the plantood gate: a photo in, a diagnosis or a verdict out."""

from __future__ import annotations

import bentoml
from bentoml.models import BentoModel
from plantood import LoadedImage, to_model_input, usable_cpus
from plantood.compose import GatedService, PlantScorer, gated, record_gate

from detector import MODEL_TAG, Detector, Diagnosis


@bentoml.service(name="MaizeDisease", service_class=GatedService)
class MaizeDisease:
    """Names the disease of a maize leaf; photos that show no plant never reach the detector."""

    model = BentoModel(MODEL_TAG)
    gate = bentoml.depends(PlantScorer)

    def __init__(self) -> None:
        self.detector = Detector(self.model.path, threads=usable_cpus())

    @bentoml.api
    @gated
    def diagnose(self, photo: LoadedImage) -> Diagnosis:
        """Diagnose one photo of a maize leaf."""
        return self._diagnose([photo])[0]

    @bentoml.api
    @gated
    def diagnose_many(self, photos: list[LoadedImage]) -> list[Diagnosis]:
        """Diagnose several photos in one forward pass; the answers come in their order."""
        return self._diagnose(photos)

    def _diagnose(self, photos: list[LoadedImage]) -> list[Diagnosis]:
        size = self.detector.input_size
        return self.detector.diagnose([to_model_input(photo, size) for photo in photos])


record_gate(MaizeDisease)
