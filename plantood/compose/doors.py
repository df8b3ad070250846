"""Thin doors to a gate, wherever it runs: each gives one photo's verdict, and fails loudly."""

from __future__ import annotations

import asyncio
import atexit
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aiohttp
import numpy as np
from bentoml.legacy import Runner
from numpy.typing import NDArray

from plantood.bento.gate_reference import gate_of
from plantood.bentoml_private import apis_of, elsewhere, session_of
from plantood.compose.remote import READY_SECONDS, RemoteGate
from plantood.errors import SettingsError
from plantood.http.timeout import ms_until
from plantood.judging import prometheus
from plantood.judging.failures import WrongAnswer, with_one_more_try
from plantood.judging.gate import Gate
from plantood.judging.judge import Describe, Judge, Score, ServiceScorer
from plantood.judging.rules import Rules
from plantood.photo.images import Photo
from plantood.settings import Settings
from plantood.verdict import Verdict


class Door(Protocol):
    """Anything that judges a photo in another process, or raises."""

    async def check(self, photo: Photo, language: str | None, *, deadline: float) -> Verdict:
        """Judge one photo; whoever asks waits until ``deadline``, in the event loop's time."""

    async def is_ready(self) -> bool:
        """True if it can judge now."""


def open_door(source: Any, settings: Settings) -> Door | Judge:
    """The door to what a service has as its gate.

    Args:
        source: As `way_to` takes it.
        settings: For what is judged in this process.

    Raises:
        SettingsError: It is no gate, or the settings cannot be used.
        GateModelError: The gate model that is needed here cannot be used.
    """
    return way_to(source)(settings)


def way_to(source: Any) -> Callable[[Settings], Door | Judge]:
    """How to open the door to a gate; nothing is loaded or connected before.

    Args:
        source: What ``bentoml.depends`` of `PlantGate`, of `PlantScorer` or of a URL resolves to,
            a client of BentoML, `gate_runner`'s runner, a `plantood.Gate`, or anything with an
            ``async check(photo, language)`` of its own.

    Raises:
        SettingsError: It is nothing of these.
    """
    if isinstance(source, Gate):
        return functools.partial(_judge_in_process, source)
    if isinstance(source, Runner):
        return functools.partial(_judge_by_runner, source)
    if (remote := elsewhere(source)) is not None:
        return functools.partial(RemoteGate.behind, *remote)
    apis = apis_of(source)
    if {"check", "check_batch"} <= apis:
        return lambda settings: ServiceDoor(source)
    if {"score", "describe"} <= apis:
        return functools.partial(_judge_by_scorer, source)
    if asyncio.iscoroutinefunction(getattr(source, "check", None)):
        return lambda settings: source if isinstance(source, RemoteGate) else OwnDoor(source)
    raise SettingsError(
        f"{type(source).__name__} is no gate; give bentoml.depends(PlantGate), "
        "bentoml.depends(PlantScorer), bentoml.depends(url=...), RemoteGate(url), gate_runner() "
        "or plantood.Gate."
    )


class ServiceDoor:
    """The gate as another service of the same bento: ``bentoml.depends(PlantGate)``."""

    def __init__(self, service: Any) -> None:
        """Call ``service``, BentoML's proxy of it, or an instance of it in this process."""
        self._service = service

    async def check(self, photo: Photo, language: str | None, *, deadline: float) -> Verdict:
        """Judge one photo, as `Door`.

        By way of `check_batch`: `check` refuses a photo above the limits as a bad request, and so
        has no verdict on it.
        """

        def call() -> Awaitable[list[Verdict]]:
            answer: Awaitable[list[Verdict]] = self._service.to_async.check_batch(
                images=[photo], language=language, timeout_ms=ms_until(deadline)
            )
            return answer

        verdicts = await with_one_more_try(call)
        if len(verdicts) != 1:
            raise WrongAnswer(f"the gate answered {len(verdicts)} verdicts on one photo")
        return verdicts[0]

    async def is_ready(self) -> bool:
        """True if the gate says so."""
        session = await session_of(self._service.to_async)
        if session is None:
            ready: bool = await self._service.__is_ready__()
            return ready
        timeout = aiohttp.ClientTimeout(READY_SECONDS)
        async with session.get("/readyz", timeout=timeout) as answer:
            return answer.status == 200


class OwnDoor:
    """A gate of a program's own, which is told nothing of how long it has."""

    def __init__(self, gate: Any) -> None:
        """Ask ``gate``, which has an ``async check(photo, language)``."""
        self._gate = gate

    async def check(self, photo: Photo, language: str | None, *, deadline: float) -> Verdict:
        """Judge one photo, as `Door`."""
        verdict: Verdict = await self._gate.check(photo, language)
        return verdict

    async def is_ready(self) -> bool:
        """What the gate says; True if it cannot tell."""
        if not hasattr(self._gate, "is_ready"):
            return True
        ready: bool = await self._gate.is_ready()
        return ready


def _judge(score: Score, settings: Settings, describe: Describe, tag: str | None = None) -> Judge:
    """A judge with its scorer elsewhere, by the gate model of a tag, or the settings' own."""
    model = gate_of(settings, tag)
    prometheus.announce(model)
    return _until_the_end(Judge(Rules.of(model, settings), score, settings, describe))


def _judge_by_scorer(service: Any, settings: Settings) -> Judge:
    """A judge with another service of the same bento: ``bentoml.depends(PlantScorer)``."""
    scorer = ServiceScorer(service)
    return _judge(scorer.score, settings, scorer.describe)


def _judge_by_runner(runner: Any, settings: Settings) -> Judge:
    """A judge with a legacy runner, which has its methods only once it is made."""

    async def score(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return await with_one_more_try(lambda: runner.score.async_run(images))

    async def describe() -> dict[str, Any]:
        return await with_one_more_try(runner.describe.async_run)

    return _judge(score, settings, describe, tag=runner.runnable_init_params.get("tag"))


def _judge_in_process(gate: Gate, settings: Settings) -> Judge:
    async def score(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return (await asyncio.to_thread(gate.scorer.score, images)).rows()

    gate.announce()
    return _until_the_end(Judge(gate.rules, score, settings))


def _until_the_end(judge: Judge) -> Judge:
    """Let a judge finish what it has in hand when the process ends; BentoML does not know of it."""
    atexit.register(judge.close)
    return judge
