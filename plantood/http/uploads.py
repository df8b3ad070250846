"""The bytes of a request while they arrive, in number and in time.

Whoever reads a body bounds it by :func:`bounded`. Of one that nobody reads the server keeps no more
than 64 kB and what arrived at once with them, and waits for no more of it once there is an answer
(`plantood.http.protocol`).

- One body: a limit in bytes (413), before the first of them is read if ``Content-Length`` says so;
  and a lowest speed (408), so that a sender who sends nothing does not stay.
- All bodies of a process share the room of `plantood.http.room`. While it is short, nobody keeps
  more than an even share of it for an upload that hardly grows (429).

What the client still sends after a refusal is read and thrown away for a while: one that is cut off
in the middle of its upload often reports a lost connection instead of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

import anyio
from bentoml.exceptions import BentoMLException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from plantood.http.protocol import SLOWEST
from plantood.http.room import UploadsFull, uploads_of_process
from plantood.refusals import RequestRefused, error, error_headers
from plantood.settings import MEBIBYTE

DRAIN_SECONDS = 10.0
FORM_OVERHEAD = 64 * 1024
"""Bytes that a multipart form may have beside its photos."""

GRACE_SECONDS = 20.0
"""For which a body may pause, however much of it is there already; beside that it must keep up
`SLOWEST`."""

STALLED_SECONDS = 5.0
STALLED_GROWTH = 1.1
"""A body that has not grown by a tenth for so long has stalled: it would take almost a minute to
send once more what it holds. Few that come to their end in time ever do."""
LOOK_SECONDS = 1.0
"""Until it is looked once more whether one that sends nothing has stalled."""

_NOTHING_LEFT = {"type": "http.request", "body": b"", "more_body": False}


class BodyTooLarge(RequestRefused):
    """The body has more bytes than so many photos may have."""

    def __init__(self, photo_bytes: int, photos: int) -> None:
        super().__init__(
            f"The upload is larger than the limit of {photo_bytes // MEBIBYTE} MB a photo"
            + (f" and {photos} photos." if photos > 1 else "."),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )


class BodyTooSlow(RequestRefused):
    """The body does not arrive, or hardly."""

    def __init__(self) -> None:
        super().__init__(
            "The upload is too slow or has stopped; send the photo again.",
            HTTPStatus.REQUEST_TIMEOUT,
        )


class TooManyFiles(RequestRefused):
    """A form holds more files than are looked at."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"There are more files than the limit of {limit} a request; send them in several.",
            HTTPStatus.BAD_REQUEST,
        )


class BoundedBody:
    """An ASGI ``receive`` that raises when too much has come, or too slowly.

    Raises:
        BodyTooLarge: More bytes than so many photos may have.
        BodyTooSlow: Fewer than `SLOWEST` bytes a second, or none for `GRACE_SECONDS`.
        UploadsFull: It has stalled, and room is short.
    """

    def __init__(self, scope: Scope, receive: Receive, photo_bytes: int, photos: int) -> None:
        self._receive = receive
        self._limit = photos * photo_bytes + FORM_OVERHEAD
        self._received = 0
        self._complete = False
        self._patience = GRACE_SECONDS
        self._grown_from, self._grown_at = 0, asyncio.get_running_loop().time()
        self.refusal: RequestRefused | None = None
        self._too_large = BodyTooLarge(photo_bytes, photos)
        declared = dict(scope.get("headers", ())).get(b"content-length", b"")
        if declared.isdigit() and (len(declared) > 18 or int(declared) > self._limit):
            self.refusal = self._too_large

    async def __call__(self) -> Message:
        """The next piece of the body; after a refusal what is left of it, unchecked."""
        if self._complete:
            return _NOTHING_LEFT if self.refusal else await self._receive()
        if self.refusal:
            event = await self._receive()
            self._complete = not event.get("more_body", False)
            return event
        try:
            event = await self._next_piece()
        except RequestRefused as refused:  # here, or by whoever hands the body on
            self.refusal = refused
            raise
        self._received += len(event.get("body", b""))
        self._complete = not event.get("more_body", False)
        if self._received > self._limit:
            self.refusal = self._too_large
        elif not self._complete and self._has_stalled():
            self.refusal = UploadsFull()
        if self.refusal:
            raise self.refusal
        return event

    async def _next_piece(self) -> Message:
        """Wait for a piece as long as the sender is given.

        Only what is spent here counts against him, not how long we take to store a piece; and what
        he was faster than he had to be earns him no more than one pause.

        Raises:
            BodyTooSlow: It did not come.
            UploadsFull: It did not come, and room is short.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._patience) as waiting:
                self._look_again(waiting)
                try:
                    event = await self._receive()
                finally:
                    self._next_look.cancel()
        except TimeoutError:
            raise self.refusal or BodyTooSlow() from None
        earned = len(event.get("body", b"")) / SLOWEST
        self._patience = min(GRACE_SECONDS, self._patience - (loop.time() - began) + earned)
        return event

    def _look_again(self, waiting: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(LOOK_SECONDS, self._look, waiting)

    def _look(self, waiting: asyncio.Timeout) -> None:
        """End the wait if others want the room."""
        if self._has_stalled() and not waiting.expired():
            self.refusal = UploadsFull()
            waiting.reschedule(asyncio.get_running_loop().time())
        else:
            self._look_again(waiting)

    def _has_stalled(self) -> bool:
        """Whether it hardly grows, and others want its room."""
        now = asyncio.get_running_loop().time()
        if self._received >= self._grown_from * STALLED_GROWTH:
            self._grown_from, self._grown_at = self._received, now
        stalled = now - self._grown_at > STALLED_SECONDS
        return stalled and uploads_of_process().lacks(self._received)


def bounded(request: Request, photo_bytes: int, photos: int) -> Request:
    """The same request; reading it raises `RequestRefused` when too much comes, or too slowly.

    Raises:
        BodyTooLarge: It says itself that it is too large.
    """
    body = BoundedBody(request.scope, request.receive, photo_bytes, photos)
    if body.refusal is not None:
        raise body.refusal
    return Request(request.scope, body)


def refused_upload(refusal: BentoMLException) -> JSONResponse:
    """The answer to a request that was refused, maybe while its body is still arriving."""
    if isinstance(refusal, (BodyTooLarge, TooManyFiles, UploadsFull)):
        return _AnswerThenDrain(refusal)
    return error(str(refusal), refusal.error_code)


class _AnswerThenDrain(JSONResponse):
    """An answer that ends when the client has sent everything, or has had time for it."""

    def __init__(self, refusal: RequestRefused) -> None:
        status = refusal.error_code
        super().__init__({"error": str(refusal)}, status, error_headers(status))
        self._rest = refusal.rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        receive = self._rest or receive

        async def send_then_drain(event: Message) -> None:
            if event["type"] == "http.response.body" and not event.get("more_body"):
                await send({**event, "more_body": True})
                with anyio.move_on_after(DRAIN_SECONDS), contextlib.suppress(RequestRefused):
                    while (await receive()).get("more_body"):
                        pass
                event = {"type": "http.response.body", "body": b""}
            await send(event)

        await super().__call__(scope, receive, send_then_drain)
