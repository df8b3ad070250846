"""The scorer as a legacy runner, for ``bentoml.legacy.Service(runners=[...])``."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import numpy as np

from plantood.bento.errors import SetupError
from plantood.bentoml_private import is_worker
from plantood.errors import PlantoodError
from plantood.judging.rules import servable_gate
from plantood.model.store import load_gate
from plantood.settings import Settings

NAME = "plant-scorer"
TAG_VARIABLE = "_PLANT_SCORER_TAG_OF_{}"
"""Environment variable by which a server's processes know the gate model of the runner of a name:
``latest`` may come to mean another one while the service runs."""


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


def _fixed(name: str) -> str | None:
    """The tag that the server's first process found for a runner; None in that process itself."""
    return os.environ.get(TAG_VARIABLE.format(name)) if is_worker() else None


def gate_runner(tag: str | None = None, name: str = NAME) -> bentoml.legacy.Runner:
    """The scorer as a runner, with the gate model attached, so that ``bentoml build`` packs it.

    ::

        runner = gate_runner()
        service = bentoml.legacy.Service("detector", runners=[runner])
        gate = ComposedGate(runner)

    Args:
        tag: Of the gate model; by default ``PLANTOOD_GATE``. The photos of a `ComposedGate` of this
            runner are judged by the rules of the same model. Its version is fixed when the service
            starts: BentoML imports the service anew in each of its processes, and hands them
            nothing but environment variables, so the tag is kept in one (`TAG_VARIABLE`).
        name: Of the runner.

    Raises:
        SetupError: The gate model or a setting cannot be used.
    """
    try:
        settings = Settings.from_environment()
        gate = servable_gate(settings, _fixed(name) or tag)
    except PlantoodError as error:
        raise SetupError(str(error)) from None
    os.environ[TAG_VARIABLE.format(name)] = gate.tag
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
