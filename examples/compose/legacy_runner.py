"""BentoML's older services: the network is a runner."""

from io import BytesIO
from typing import Any, BinaryIO

import bentoml
from bentoml.io import JSON, File
from my_detector import diagnose
from PIL import Image

from plantood.compose import ComposedGate, gate_runner

runner = gate_runner()
service = bentoml.legacy.Service("legacy_detector", runners=[runner])
gate = ComposedGate(runner)


@service.api(input=File(), output=JSON())  # type: ignore[misc]  # typed as if both were one
async def diagnose_photo(photo: BinaryIO) -> dict[str, Any]:
    data = photo.read()
    verdict = await gate.check(data)
    answer = diagnose(Image.open(BytesIO(data))) if verdict.accepted else verdict
    return answer.model_dump(mode="json")
