"""The web application around the gate: BentoML's own, with plain errors, the page and the model.

Three things that BentoML's HTTP server does otherwise than a gate must: it wraps the message of a
400 in a list and logs a stack trace for it, it answers 404 and 405 in plain text, and it shows
its API explorer at ``/``.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk import Service
from bentoml.exceptions import BentoMLException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from . import openapi
from .http_io import PICKLE, RequestRefused
from .settings import MEBIBYTE

WEB = Path(__file__).parent / "web"
DRAIN_SECONDS = 10.0
FORM_OVERHEAD = 64 * 1024
"""Bytes that a multipart form may have beside its photos."""

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
EXPLORER_HEADERS = PAGE_HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def error(message: str, status: int) -> JSONResponse:
    """Every error of the service: ``{"error": "one sentence"}``."""
    headers = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse({"error": message}, status, headers)


class GateApp(ServiceAppFactory):
    """BentoML's application of one service, with the routes and errors of the gate."""

    def __call__(self) -> Starlette:
        """Build the application."""
        app = super().__call__()
        app.add_exception_handler(HTTPException, _http_error)
        return app

    @property
    def routes(self) -> list[BaseRoute]:
        """BentoML's routes, the model, and the page's files."""
        return [
            *super().routes,
            Route("/model", self.model, methods=["GET"]),
            Route("/docs", _file("docs.html", EXPLORER_HEADERS), methods=["GET"]),
            Route("/app.js", _file("app.js", PAGE_HEADERS), methods=["GET"]),
            Route("/style.css", _file("style.css", PAGE_HEADERS), methods=["GET"]),
        ]

    async def index_page(self, _: Request) -> Response:
        """The page on which a person tries a photo."""
        return FileResponse(WEB / "index.html", headers=PAGE_HEADERS)

    async def model(self, _: Request) -> Response:
        """The gate model that judges."""
        text = json.dumps(self._service_instance.describe())
        # a figure that could not be measured is NaN, which is no JSON
        return JSONResponse(json.loads(text, parse_constant=lambda _: None))

    async def openapi_spec_view(self, _: Request) -> Response:
        """BentoML's OpenAPI document, completed."""
        return JSONResponse(openapi.complete(self.service.openapi_spec.asdict()))

    async def api_endpoint(self, name: str, request: Request) -> Response:
        """Answer an API call; what the caller did wrong is a sentence, not a stack trace."""
        try:
            return await super().api_endpoint(name, request)
        except BentoMLException as refused:
            if refused.error_code >= 500 and not isinstance(refused, RequestRefused):
                raise  # BentoML logs it, and tells the caller nothing of the inside
            return error(str(refused), refused.error_code)
        except HTTPException as refused:  # a form that cannot be parsed
            return error(f"The form cannot be read: {refused.detail}", refused.status_code)
        except ClientDisconnect:
            return error("The upload broke off.", HTTPStatus.BAD_REQUEST)


class GateService(Service):
    """A BentoML service whose web application is :class:`GateApp`."""

    def to_asgi(self, is_main: bool = True) -> Starlette:
        """Build the application of one worker."""
        self.inject_config()
        return GateApp(self, is_main=is_main)()


class BodyLimit:
    """ASGI middleware: a body above the limit is a 413 and never in memory.

    If ``Content-Length`` says so, before the first byte of it is read; otherwise as soon as the
    bytes received pass the limit. What the client still sends is read and thrown away for a
    while: one that is cut off in the middle of its upload often reports a lost connection
    instead of the answer.
    """

    def __init__(self, app: Any, photo_bytes: int, max_photos: int) -> None:
        self.app = app
        self.photo_bytes = photo_bytes
        self.max_photos = max_photos

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its body is too large."""
        headers = dict(scope.get("headers", ()))
        # another service of the bento hands decoded pixels over, uncompressed; from outside,
        # BentoML refuses this type unread
        internal = headers.get(b"content-type") == PICKLE.encode()
        if scope["type"] != "http" or internal:
            return await self.app(scope, receive, send)
        batch = scope["path"].endswith("/check_batch")
        photos = self.max_photos if batch else 1
        limit = photos * self.photo_bytes + FORM_OVERHEAD
        megabytes = self.photo_bytes // MEBIBYTE
        message = f"The upload is larger than the limit of {megabytes} MB a photo" + (
            f" and {photos} photos." if batch else "."
        )
        received, refused = 0, False

        async def counted() -> Message:
            nonlocal received, refused
            event = await receive()
            received += len(event.get("body", b""))
            if received > limit:
                refused = True
                raise RequestRefused(message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return event

        async def send_then_drain(event: Message) -> None:
            if refused and event["type"] == "http.response.body" and not event.get("more_body"):
                await send({**event, "more_body": True})
                await _drain(receive)
                event = {"type": "http.response.body", "body": b""}
            await send(event)

        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            refused = True
            answer = error(message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return await answer(scope, receive, send_then_drain)
        await self.app(scope, counted, send_then_drain)


async def _drain(receive: Receive) -> None:
    with anyio.move_on_after(DRAIN_SECONDS):
        while (await receive()).get("more_body"):
            pass


async def _http_error(request: Request, refused: HTTPException) -> Response:
    known = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}; see /docs.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not answer {request.method}.",
    }
    response = error(known.get(refused.status_code, refused.detail), refused.status_code)
    response.headers.update(refused.headers or {})
    return response


def _file(name: str, headers: dict[str, str]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return FileResponse(WEB / name, headers=headers)

    return answer
