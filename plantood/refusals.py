"""What the service answers to a request that it cannot or will not answer otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from bentoml.exceptions import BentoMLException
from starlette.responses import JSONResponse

from plantood.errors import PlantoodError

RETRY_SECONDS = 5
"""What ``Retry-After`` says wherever the same request may be answered a little later."""

_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class RequestRefused(BentoMLException, PlantoodError):
    """The request itself cannot be answered; the message says why and what to send.

    Attributes:
        rest: An ASGI ``receive`` of what the client still sends, if it is not the request's own.
    """

    rest: Callable[[], Awaitable[Any]] | None = None

    def __init__(self, message: str, status: HTTPStatus) -> None:
        super().__init__(message, error_code=status)


def error(message: str, status: int) -> JSONResponse:
    """Every error of the service: ``{"error": "one sentence"}``."""
    return JSONResponse({"error": message}, status, error_headers(status))


def error_headers(status: int) -> dict[str, str]:
    """The headers that belong to the status of an error."""
    headers = {}
    if status in _LATER:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if status == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"  # what the client still sends is not read any more
    return headers
