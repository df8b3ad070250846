"""A detector of a team that is still on BentoML's older services and runners."""

from __future__ import annotations

import bentoml
from bentoml.io import JSON, File

from plantood.compose import ComposedGate, gate_runner

runner = gate_runner()
service = bentoml.legacy.Service("legacy_detector", runners=[runner])
gate = ComposedGate(runner)


@service.api(input=File(), output=JSON())
async def verdict(photo: File) -> dict:
    return (await gate.check(photo.read())).model_dump(mode="json")
