"""A detector of realistic cost, bare and with the gate in front in each way.

``BENCHMARK_DETECTOR`` names the folder of its two ONNX graphs, ``BENCHMARK_GATE_URL`` a gate that
runs elsewhere.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import PIL.Image

from plantood.compose import ComposedGate, PlantGate, PlantScorer, RemoteGate, Verdict, gated
from plantood.model.runtime import Scorer
from plantood.photo.images import LoadedImage, to_model_input

SIZE = 224


class Detector:
    """A network of its own, which counts how often it is asked."""

    def __init__(self) -> None:
        folder = Path(os.environ["BENCHMARK_DETECTOR"])
        self.network = Scorer(folder / "backbone.onnx", folder / "head.onnx")
        self.calls = 0

    def diagnose(self, image: PIL.Image.Image | LoadedImage) -> dict[str, Any]:
        """Stretch the photo to the network's input and run it."""
        self.calls += 1
        if isinstance(image, LoadedImage):
            pixels = to_model_input(image, SIZE)
        else:
            pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE)))
        return {"disease": float(self.network.score(pixels[np.newaxis]).plant_probability[0])}


class _Service:
    def __init__(self) -> None:
        self.detector = Detector()

    @bentoml.api
    def calls(self) -> int:
        return self.detector.calls


@bentoml.service(traffic={"timeout": 60})
class Bare(_Service):
    """As one would write it: BentoML decodes the whole photo."""

    @bentoml.api
    def check(self, image: PIL.Image.Image) -> dict[str, Any]:
        """Diagnose."""
        return self.detector.diagnose(image)


class _Undecorated(_Service):
    gate: ComposedGate

    @bentoml.api
    async def check(self, image: Path) -> Verdict | dict[str, Any]:
        verdict = await self.gate.check(image)
        if not verdict.accepted:
            return verdict
        return await asyncio.to_thread(lambda: self.detector.diagnose(PIL.Image.open(image)))


@bentoml.service(traffic={"timeout": 60})
class ByService(_Undecorated):
    """Way 1."""

    plant_gate = bentoml.depends(PlantGate)

    def __init__(self) -> None:
        super().__init__()
        self.gate = ComposedGate(self.plant_gate)


@bentoml.service(traffic={"timeout": 60})
class ByScorer(_Undecorated):
    """Way 2."""

    scorer = bentoml.depends(PlantScorer)

    def __init__(self) -> None:
        super().__init__()
        self.gate = ComposedGate(self.scorer)


@bentoml.service(traffic={"timeout": 60})
class Decorated(_Service):
    """Way 3, the photo decoded once."""

    gate = bentoml.depends(PlantScorer)

    @bentoml.api
    @gated
    def check(self, image: LoadedImage) -> dict[str, Any]:
        """Diagnose."""
        return self.detector.diagnose(image)


@bentoml.service(traffic={"timeout": 60})
class DecoratedWhole(_Service):
    """Way 3, the detector decodes the whole photo as it did before."""

    gate = bentoml.depends(PlantScorer)

    @bentoml.api
    @gated
    def check(self, image: PIL.Image.Image) -> dict[str, Any]:
        """Diagnose."""
        return self.detector.diagnose(image)


@bentoml.service(traffic={"timeout": 60})
class Elsewhere(_Undecorated):
    """Way 4."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = ComposedGate(RemoteGate(os.environ["BENCHMARK_GATE_URL"]))
