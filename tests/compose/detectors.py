"""A disease detector of another team, with the gate in front in every way that one bento allows."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import anyio
import bentoml
import PIL.Image
from pydantic import BaseModel, Field

from plantood import Gate
from plantood.compose import (
    ComposedGate,
    PlantGate,
    PlantScorer,
    RemoteGate,
    Verdict,
    gate_model,
    gated,
)
from plantood.photo.images import LoadedImage

GATE_URL = os.environ.get("GATE_URL", "http://127.0.0.1:1")
"""Of a gate in a deployment of its own."""

WAIT = 3.0
"""Seconds that the gate gets for a verdict, where its failure is tested."""


class Seen(BaseModel):
    """What reached the detector."""

    form: str
    size: tuple[int, int] = (0, 0)
    note: str = ""
    together: int = 1
    verdict: Verdict | None = None


@bentoml.service
class Inner:
    """A detector that only another service of the bento calls, by BentoML's own transport."""

    gate = bentoml.depends(PlantScorer)

    @bentoml.api
    @gated
    def diagnose(self, image: bytes, note: str = "none", language: str = "sw") -> Seen:
        return Seen(form="bytes", note=note)

    @bentoml.api
    @gated(retake_status=422)
    async def diagnose_many(self, images: list[PIL.Image.Image]) -> list[Seen]:
        return [Seen(form="PIL", size=image.size, together=len(images)) for image in images]


@bentoml.service(
    traffic={"timeout": 60}, runner_probe={"enabled": False, "timeout": 1, "period": 9}
)
class Detector:
    gate = bentoml.depends(PlantScorer)
    plant_gate = bentoml.depends(PlantGate)
    elsewhere = bentoml.depends(url=GATE_URL)
    own_gate = gate_model()
    inner = bentoml.depends(Inner)

    def __init__(self) -> None:
        self.called = 0
        self.threads: set[str] = set()
        self.way = {
            "service": ComposedGate(self.plant_gate),
            "scorer": ComposedGate(self.gate),
            "url": ComposedGate(self.elsewhere),
            "client": ComposedGate(RemoteGate(GATE_URL)),
            "process": ComposedGate(Gate.load()),
        }
        self.open_way = ComposedGate(RemoteGate(GATE_URL), on_gate_error="accept")
        self.nowhere = RemoteGate("http://127.0.0.1:1", timeout_s=5)

    async def __is_ready__(self) -> bool:
        return all([await self.way[way].is_ready() for way in ("service", "scorer", "client")])

    @bentoml.api
    async def verdict(self, photo: Path, way: str, language: str | None = None) -> Verdict:
        return await self.way[way].check(photo, language)

    @bentoml.api
    def verdict_in_a_thread(self, photo: Path) -> Verdict:
        return anyio.from_thread.run(self.way["scorer"].check, photo)

    @bentoml.api
    def verdict_in_a_loop_of_its_own(self, photo: Path) -> str:
        try:
            return asyncio.run(self.way["scorer"].check(photo)).verdict
        except RuntimeError as error:
            return str(error)

    @bentoml.api
    async def verdicts(self, photos: list[Path], way: str) -> list[Verdict]:
        return await self.way[way].check_many(photos)

    @bentoml.api
    @gated
    def by_scorer(self, image: bytes, verdict: Verdict) -> Seen:
        return Seen(form="bytes", verdict=verdict)

    @bentoml.api
    @gated(gate="plant_gate")
    async def by_service(self, image: bytes, verdict: Verdict) -> Seen:
        return Seen(form="bytes", verdict=verdict)

    @bentoml.api
    @gated(gate="elsewhere")
    def by_url(self, image: bytes, verdict: Verdict) -> Seen:
        return Seen(form="bytes", verdict=verdict)

    @bentoml.api
    @gated(gate="own_gate")
    def by_model(self, image: bytes, verdict: Verdict) -> Seen:
        return Seen(form="bytes", verdict=verdict)

    @bentoml.api
    @gated
    def as_pil(
        self,
        image: PIL.Image.Image,
        crop: str,
        leaves: int = Field(default=1, ge=1),
    ) -> Seen:
        """Name the disease."""
        self.called += 1
        self.threads.add(threading.current_thread().name)
        return Seen(form=image.mode, size=image.size, note=f"{crop} {leaves}")

    @bentoml.api
    @gated
    def in_a_language(self, image: bytes, language: str = "sw") -> Seen:
        return Seen(form="bytes", note=language)

    @bentoml.api
    @gated
    async def as_path(self, image: Path) -> Seen:
        with PIL.Image.open(image) as opened:
            return Seen(form=str(image), size=opened.size, note=image.suffix)

    @bentoml.api
    @gated
    async def as_loaded(self, image: LoadedImage, ctx: bentoml.Context) -> Seen:
        ctx.response.headers["X-Detector"] = "seen"
        height, width = image.pixels.shape[:2]
        return Seen(form=f"{image.width}x{image.height}", size=(width, height))

    @bentoml.api
    @gated(gate="plant_gate", retake_status=422)
    def as_loaded_twice(self, image: LoadedImage, ctx: bentoml.Context) -> Seen:
        """The gate decodes in another process, so that it is decoded here too."""
        height, width = image.pixels.shape[:2]
        return Seen(form=f"{image.width}x{image.height}", size=(width, height))

    @bentoml.api
    @gated
    def many_bytes(self, images: list[bytes], verdicts: list[Verdict]) -> list[Seen]:
        self.called += 1
        return [
            Seen(form=str(len(image)), together=len(images), verdict=verdict)
            for image, verdict in zip(images, verdicts, strict=True)
        ]

    @bentoml.api
    @gated
    async def many_paths(self, images: list[Path], note: str = "") -> list[Seen]:
        return [Seen(form=str(path), note=note, together=len(images)) for path in images]

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=30_000)
    @gated
    def batchable(self, images: list[LoadedImage]) -> list[Seen]:
        return [Seen(form="loaded", together=len(images)) for _ in images]

    @bentoml.api
    @gated
    def positional(self, image: bytes, /) -> Seen:
        return Seen(form=f"{len(image)} bytes")

    @bentoml.api
    @gated(photo="image")
    def with_a_mask(self, image: LoadedImage, mask: Path, threshold: float = 0.5) -> Seen:
        return Seen(form=f"{mask.read_bytes()!r} {threshold} {mask.suffix}".strip())

    @bentoml.api
    @gated
    def too_few(self, images: list[bytes]) -> list[Seen]:
        return []

    @bentoml.api
    @gated(photo=["leaf", "field"])
    def of_both(
        self, leaf: bytes, field: PIL.Image.Image, verdicts: list[Verdict], note: str = ""
    ) -> Seen:
        self.called += 1
        return Seen(form=note, size=field.size, together=len(verdicts), verdict=verdicts[1])

    @bentoml.api
    @gated
    def as_text(self, image: bytes) -> str:
        return "rust"

    @bentoml.api
    @gated(on_gate_error="accept", timeout_s=WAIT)
    def or_accept(self, image: PIL.Image.Image, verdict: Verdict) -> Seen:
        return Seen(form="PIL", verdict=verdict)

    @bentoml.api
    @gated(on_gate_error="retake", timeout_s=WAIT)
    def or_retake(self, image: bytes, verdict: Verdict) -> Seen:
        return Seen(form="bytes", verdict=verdict)

    @bentoml.api
    @gated(on_gate_error="raise", timeout_s=WAIT)
    async def or_raise(self, image: bytes, verdict: Verdict) -> Seen:
        return Seen(form="bytes", verdict=verdict)

    @bentoml.api
    @gated(on_gate_error="raise", timeout_s=WAIT)
    def many_or_raise(self, images: list[bytes]) -> list[Seen]:
        return [Seen(form="bytes")] * len(images)

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=30_000)
    @gated(on_gate_error="raise", timeout_s=WAIT)
    def batchable_or_raise(self, images: list[bytes]) -> list[Seen]:
        return [Seen(form="bytes", together=len(images))] * len(images)

    @bentoml.api
    @gated(gate="nowhere", on_gate_error="accept")
    def nowhere_or_accept(self, image: PIL.Image.Image, verdict: Verdict) -> Seen:
        return Seen(form="PIL", verdict=verdict)

    @bentoml.api
    @gated(gate="nowhere", on_gate_error="accept")
    async def many_nowhere_or_accept(self, images: list[LoadedImage]) -> list[Seen]:
        return [Seen(form="loaded", together=len(images)) for _ in images]

    @bentoml.api
    @gated(gate="elsewhere", on_gate_error="accept")
    def elsewhere_or_accept(self, image: bytes, verdict: Verdict) -> Seen:
        return Seen(form="bytes", verdict=verdict)

    @bentoml.api
    async def whatever_or_accept(self, photo: Path, language: str | None = None) -> Verdict:
        """Bytes that nobody looks at before they are sent to the gate elsewhere."""
        return await self.open_way.check(photo.read_bytes(), language)

    @bentoml.api
    def how_often(self) -> int:
        return self.called

    @bentoml.api
    def in_which_threads(self) -> list[str]:
        return sorted(self.threads)

    @bentoml.api
    async def ask_inner(self, path: str) -> list[Seen | Verdict]:
        one = await self.inner.diagnose(image=Path(path), note="from Python")
        with PIL.Image.open(path) as image:
            many = await self.inner.diagnose_many(images=[image, image.convert("RGB"), b"broken"])
        return [one, *many]
