"""The same detector as a legacy service, with the gate as a runner: way 5."""

from __future__ import annotations

import asyncio
from functools import cache
from io import BytesIO
from typing import Any

import bentoml
import PIL.Image
from bentoml.io import JSON, File, Multipart

from benchmarks.composed_services import Detector
from plantood.compose import ComposedGate, gate_runner

runner = gate_runner()
service = bentoml.legacy.Service("legacy_detector", runners=[runner])
detector = cache(Detector)  # in the server's process only, not in the runner's


@cache
def gate() -> ComposedGate:
    """The gate in front."""
    return ComposedGate(runner)


@service.api(route="check", input=Multipart(image=File()), output=JSON())
async def check(image: File) -> dict[str, Any]:
    """Judge, then diagnose."""
    data = image.read()
    verdict = await gate().check(data)
    if not verdict.accepted:
        return verdict.model_dump(mode="json")
    return await asyncio.to_thread(lambda: detector().diagnose(PIL.Image.open(BytesIO(data))))
