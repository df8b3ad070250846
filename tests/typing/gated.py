"""What a type checker says of the public surface; `make types` reads this, and nothing runs it."""

from __future__ import annotations

from typing import assert_type

import PIL.Image

from plantood import Gate, Verdict
from plantood.compose import ComposedGate, RemoteGate, gated


class Detector:
    """Methods of a service, without its decorators."""

    @gated
    def count(self, photo: PIL.Image.Image, field: str = "north") -> dict[str, int]:
        """One that is not async."""
        return {field: photo.width}

    @gated
    async def name(self, photo: bytes) -> str:
        """One that is."""
        return photo.hex()

    @gated(gate="door", retake_status=422)
    def configured(self, photo: bytes) -> str:
        """One with arguments."""
        return photo.hex()


async def use(detector: Detector, photo: PIL.Image.Image) -> None:
    """A gated method keeps its parameters, is awaited, and may answer a verdict."""
    assert_type(await detector.count(photo, field="south"), dict[str, int] | Verdict)
    assert_type(await detector.name(b""), str | Verdict)
    assert_type(await detector.configured(photo=b""), str | Verdict)
    await detector.count(b"")  # type: ignore[arg-type]
    await detector.name()  # type: ignore[call-arg]


async def judge(gate: Gate, photo: bytes) -> None:
    """All doors give verdicts."""
    assert_type(gate.check(photo), Verdict)
    assert_type(await ComposedGate(gate).check(photo), Verdict)
    assert_type(await RemoteGate("http://gate:3000").check(photo), Verdict)
