"""One bento: the gate is a service of its own."""

import asyncio
from pathlib import Path

import bentoml
from my_detector import Answer, diagnose

from plantood.compose import ComposedGate, PlantGate


@bentoml.service
class Detector:
    plant_gate = bentoml.depends(PlantGate)

    def __init__(self) -> None:
        self.gate = ComposedGate(self.plant_gate)

    @bentoml.api
    async def diagnose(self, photo: Path) -> Answer:
        verdict = await self.gate.check(photo)
        found = await asyncio.to_thread(diagnose, photo) if verdict.accepted else None
        return Answer(verdict=verdict, diagnosis=found)
