"""When there is no verdict: why, in few words that a metric can carry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

import aiohttp
import httpx
from bentoml.exceptions import BentoMLException

from plantood.errors import PlantoodError
from plantood.refusals import RequestRefused

Result = TypeVar("Result")


class FailureKind(StrEnum):
    """How a gate or its scorer failed; the label ``kind`` of ``plantood_gate_errors_total``."""

    UNREACHABLE = "unreachable"  # no connection, or it broke
    TIMEOUT = "timeout"  # no answer in time
    UNAVAILABLE = "unavailable"  # it says so itself: 503, or 429
    WRONG_ANSWER = "wrong_answer"  # an answer that is no verdict, or not this gate model's scores
    FAILED = "failed"  # it answered an error, or broke in a way not foreseen


KINDS: dict[int, FailureKind] = {
    HTTPStatus.SERVICE_UNAVAILABLE: FailureKind.UNAVAILABLE,
    HTTPStatus.TOO_MANY_REQUESTS: FailureKind.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: FailureKind.TIMEOUT,
}
"""How a gate or scorer failed that answers with such a status."""

_BECAUSE = {
    FailureKind.UNREACHABLE: "the gate could not be reached",
    FailureKind.TIMEOUT: "the gate gave no answer in time",
    FailureKind.UNAVAILABLE: "the gate cannot judge at the moment",
    FailureKind.WRONG_ANSWER: "the gate gave an answer that cannot be used",
    FailureKind.FAILED: "the gate failed",
}


class GateUnavailable(RequestRefused):
    """No verdict, so a 503: the gate is gone, too slow, overloaded, or answered nonsense.

    Attributes:
        kind: How it failed.
        because: The same in words.
        detail: What exactly happened, for a log.
    """

    def __init__(self, kind: FailureKind, detail: str, because: str = "") -> None:
        self.kind = kind
        self.because = because or _BECAUSE[kind]
        super().__init__(
            f"The photo could not be judged, because {self.because}; try again in a few seconds.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
        self.detail = detail


class CallerGone(RequestRefused):
    """Whoever asked waits no longer, so a 504; no failure of the gate, which had longer."""

    def __init__(self) -> None:
        super().__init__(
            "The photo could not be judged while its sender waits; wait longer, or try again in a "
            "few seconds.",
            HTTPStatus.GATEWAY_TIMEOUT,
        )


class WrongAnswer(PlantoodError):
    """What came back is not what was asked for."""


def as_gate_failure(error: Exception) -> GateUnavailable:
    """Whatever went wrong while a gate or scorer was asked, as one exception."""
    if isinstance(error, GateUnavailable):
        return error
    failure = GateUnavailable(_kind(error), f"{type(error).__name__}: {error}".rstrip(": "))
    failure.__cause__ = error
    return failure


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return FailureKind.TIMEOUT
    if isinstance(error, (aiohttp.ClientError, httpx.TransportError, OSError)):
        return FailureKind.UNREACHABLE
    if isinstance(error, (WrongAnswer, httpx.DecodingError)):
        return FailureKind.WRONG_ANSWER
    if isinstance(error, BentoMLException):
        if kind := KINDS.get(error.error_code):
            return kind
        if isinstance(error.__cause__, aiohttp.ClientError):  # as the legacy runner's client does
            return FailureKind.UNREACHABLE
    return FailureKind.FAILED


async def with_one_more_try(call: Callable[[], Awaitable[Result]]) -> Result:
    """What a call gives; it is made again if its connection breaks.

    To judge a photo twice does no harm, and a process that died is started again.
    """
    try:
        return await call()
    except Exception as error:
        if _kind(error) is not FailureKind.UNREACHABLE:
            raise
        return await call()
