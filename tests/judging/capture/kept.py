"""Verdicts to keep photos by, and what was kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from plantood.judging.capture.queue import Capture
from plantood.verdict import Reason, ReasonCode, Verdict


def verdict(probability: float | None = None, *codes: ReasonCode) -> Verdict:
    return Verdict(
        verdict="retake" if codes else "accept",
        reasons=[Reason(code=code, message="Please take another one.") for code in codes],
        plant_probability=probability,
        threshold=0.5,
        model="plantood-gate:1",
    )


REFUSED = verdict(0.2, ReasonCode.NOT_A_PLANT)


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("plantood_captured_total", {"outcome": outcome}) or 0.0


def names(folder: Path) -> list[str]:
    return sorted(f"{file.parent.name}/{file.name}" for file in folder.glob("*/*"))


def keep_all(place: str, photos: list[bytes], start: Any) -> None:
    kept = Capture(place, margin=0.1, per_day=9)
    start.wait(60)
    for photo in photos:
        kept.offer(photo, REFUSED)
    kept.close(60)


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
