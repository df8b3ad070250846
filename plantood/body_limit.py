"""A body above the limit is a 413 and never in memory.

If ``Content-Length`` says so, before the first byte of it is read; otherwise as soon as the bytes
received pass the limit. What the client still sends is read and thrown away for a while: one that
is cut off in the middle of its upload often reports a lost connection instead of the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse

from .http_io import PICKLE, RequestRefused
from .settings import MEBIBYTE

DRAIN_SECONDS = 10.0
FORM_OVERHEAD = 64 * 1024
"""Bytes that a multipart form may have beside its photos."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BodyTooLarge(RequestRefused):
    """The body has more bytes than so many photos may have."""

    def __init__(self, photo_bytes: int, photos: int) -> None:
        super().__init__(
            f"The upload is larger than the limit of {photo_bytes // MEBIBYTE} MB a photo"
            + (f" and {photos} photos." if photos > 1 else "."),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )


class BoundedBody:
    """An ASGI ``receive`` that raises `BodyTooLarge` when too much has come."""

    def __init__(self, scope: Message, receive: Receive, photo_bytes: int, photos: int) -> None:
        self._receive = receive
        self._limit = photos * photo_bytes + FORM_OVERHEAD
        self._received = 0
        self.refusal = BodyTooLarge(photo_bytes, photos)
        declared = dict(scope.get("headers", ())).get(b"content-length", b"")
        self.exceeded = declared.isdigit() and int(declared) > self._limit

    async def __call__(self) -> Message:
        """The next piece of the body."""
        event = await self._receive()
        self._received += len(event.get("body", b""))
        if self._received > self._limit:
            self.exceeded = True
            raise self.refusal
        return event


class BodyLimit:
    """ASGI middleware: bounds the bodies of ``/check`` and ``/check_batch``."""

    def __init__(self, app: Any, photo_bytes: int, max_photos: int) -> None:
        self.app = app
        self.photo_bytes = photo_bytes
        self.max_photos = max_photos

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its body is too large."""
        # another service of the bento hands decoded pixels over, uncompressed; from outside,
        # BentoML refuses this type unread
        internal = dict(scope.get("headers", ())).get(b"content-type") == PICKLE.encode()
        if scope["type"] != "http" or internal:
            return await self.app(scope, receive, send)
        photos = self.max_photos if scope["path"].endswith("/check_batch") else 1
        body = BoundedBody(scope, receive, self.photo_bytes, photos)
        if body.exceeded:
            return await TooLargeAnswer(body.refusal)(scope, receive, send)
        await self.app(scope, body, _draining(receive, send, lambda: body.exceeded))


def bounded(request: Request, photo_bytes: int, photos: int) -> Request:
    """The same request; reading it raises `BodyTooLarge` when too much has come.

    Raises:
        BodyTooLarge: It says itself that it is too large.
    """
    body = BoundedBody(request.scope, request.receive, photo_bytes, photos)
    if body.exceeded:
        raise body.refusal
    if hasattr(request, "_body"):  # somebody has read it already, as BentoML does for a task
        return request
    return Request(request.scope, body)


class TooLargeAnswer(JSONResponse):
    """The answer to a body above the limit; it reads what the client still sends."""

    def __init__(self, refusal: BodyTooLarge) -> None:
        super().__init__({"error": str(refusal)}, refusal.error_code)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send it."""
        await super().__call__(scope, receive, _draining(receive, send, lambda: True))


def _draining(receive: Receive, send: Send, applies: Callable[[], bool]) -> Send:
    """An ASGI ``send`` that reads what the client still sends before it ends an answer."""

    async def send_then_drain(event: Message) -> None:
        if applies() and event["type"] == "http.response.body" and not event.get("more_body"):
            await send({**event, "more_body": True})
            with anyio.move_on_after(DRAIN_SECONDS):
                while (await receive()).get("more_body"):
                    pass
            event = {"type": "http.response.body", "body": b""}
        await send(event)

    return send_then_drain
