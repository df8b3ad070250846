"""BentoML's older services: the network is a runner."""

from io import BytesIO

import bentoml
from bentoml.io import JSON, File
from my_detector import diagnose
from PIL import Image

from plantood.compose import ComposedGate, gate_runner

runner = gate_runner()
service = bentoml.legacy.Service("legacy_detector", runners=[runner])
gate = ComposedGate(runner)


@service.api(input=File(), output=JSON())
async def diagnose_photo(photo: File) -> dict:
    data = photo.read()
    verdict = await gate.check(data)
    answer = diagnose(Image.open(BytesIO(data))) if verdict.accepted else verdict
    return answer.model_dump(mode="json")
