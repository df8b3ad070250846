"""Another team's service in front of which the gate stands, in one bento with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import bentoml
from PIL import Image

from plantood.service import PlantGate
from plantood.verdict import Verdict


@bentoml.service
class Detector:
    """Hands one photo to the gate in every form that Python code may have it in."""

    gate = bentoml.depends(PlantGate)

    @bentoml.api
    async def ask(self, path: str) -> list[Verdict]:
        photo = Path(path)
        with Image.open(photo) as image:
            one_by_one = [
                await self.gate.check(image=photo),
                await self.gate.check(image=path),
                await self.gate.check(image=photo.read_bytes()),
                await self.gate.check(image=image),
                await self.gate.check(image=image.convert("RGB")),
            ]
        return one_by_one + await self.gate.check_batch(images=[photo, photo.read_bytes()])

    @bentoml.api
    async def ask_enlarged(self, path: str) -> Verdict:
        """Decoded, these pixels are larger than an upload may be."""
        with Image.open(path) as image:
            return await self.gate.check(image=image.resize((3000, 3000)))

    @bentoml.api
    async def ask_later(self, path: str) -> Verdict:
        """Needs the gate only when the request is half done."""
        await asyncio.sleep(1.5)
        return await self.gate.check(image=Path(path))

    @bentoml.api
    async def say(self, path: str, language: str) -> str:
        verdict = await self.gate.check(image=Path(path), language=language)
        return verdict.reasons[0].message
