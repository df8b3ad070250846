"""One bento: only the network is a service of its own; this process decodes and decides."""

import asyncio
from pathlib import Path

import bentoml
from my_detector import Answer, diagnose

from plantood.compose import ComposedGate, PlantScorer


@bentoml.service
class Detector:
    scorer = bentoml.depends(PlantScorer)

    def __init__(self) -> None:
        self.gate = ComposedGate(self.scorer)

    @bentoml.api
    async def diagnose(self, photo: Path) -> Answer:
        verdict = await self.gate.check(photo)
        found = await asyncio.to_thread(diagnose, photo) if verdict.accepted else None
        return Answer(verdict=verdict, diagnosis=found)
