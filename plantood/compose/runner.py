"""The scorer as a legacy runner, for ``bentoml.legacy.Service(runners=[...])``."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import numpy as np

from plantood.bento.errors import SetupError
from plantood.errors import PlantoodError
from plantood.judging.rules import servable_gate
from plantood.model.store import load_gate
from plantood.settings import Settings, variable

NAME = "plant-scorer"


class ScorerRunnable(bentoml.legacy.Runnable):
    """The network: a batch of photos in, plant probability and embedding out."""

    SUPPORTED_RESOURCES = ("cpu",)
    SUPPORTS_CPU_MULTI_THREADING = True  # so that there is one process, with all the threads

    def __init__(self, tag: str, threads: int | None, pin: str | None = None) -> None:
        self.tag = tag
        self.scorer = load_gate(tag, pin=pin).scorer(threads)
        size = self.scorer.input_size
        self.scorer.score(np.zeros((1, size, size, 3), np.uint8))  # the first pass is slow

    @bentoml.legacy.Runnable.method(batchable=True, batch_dim=0)
    def score(self, images: np.ndarray) -> np.ndarray:
        """Score photos, uint8 RGB ``[N, S, S, 3]`` to float32 ``[N, 1 + C]``."""
        return self.scorer.score(images).rows()

    @bentoml.legacy.Runnable.method(batchable=False)
    def describe(self) -> dict[str, Any]:
        """The tag of the gate model that scores, and the side of its square input in pixels."""
        return {"model": self.tag, "input_size": self.scorer.input_size}


def gate_runner(tag: str | None = None, name: str = NAME) -> bentoml.legacy.Runner:
    """The scorer as a runner, with the gate model attached, so that ``bentoml build`` packs it.

    ::

        runner = gate_runner()
        service = bentoml.legacy.Service("detector", runners=[runner])
        gate = ComposedGate(runner)

    Args:
        tag: Of the gate model; by default ``PLANTOOD_GATE``. There is one in a process: the photos
            of this service are judged by the rules of the same model.
        name: Of the runner.

    Raises:
        SetupError: The gate model or a setting cannot be used.
    """
    try:
        settings = Settings.from_environment()
        gate = servable_gate(settings, tag)
    except PlantoodError as error:
        raise SetupError(str(error)) from None
    # `latest` may come to mean another model while the service runs
    os.environ[variable("gate")] = gate.tag
    return bentoml.legacy.Runner(
        ScorerRunnable,
        name=name,
        runnable_init_params={
            "tag": gate.tag,
            "threads": settings.scorer_threads,
            "pin": settings.gate_sha256,
        },
        models=[bentoml.models.get(gate.tag)],
        max_batch_size=settings.max_batch_size,
        max_latency_ms=settings.max_latency_ms,
    )
