"""The bytes of a request while they arrive: bounded for each request, and for all of them together.

- One body: a limit in bytes (413), before the first of them is read if ``Content-Length`` says so;
  and a lowest speed (408), so that a sender who sends nothing does not stay.
- All bodies of a process: a limit in bytes (429), in memory and on disk together. Only so many of
  them are in memory; further uploads go to disk at once.

What the client still sends after a refusal is read and thrown away for a while: one that is cut off
in the middle of its upload often reports a lost connection instead of the answer.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from http import HTTPStatus
from tempfile import SpooledTemporaryFile

import anyio
from bentoml.exceptions import BentoMLException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plantood.refusals import RequestRefused, error, error_headers
from plantood.settings import MEBIBYTE, Settings

DRAIN_SECONDS = 10.0
FORM_OVERHEAD = 64 * 1024
"""Bytes that a multipart form may have beside its photos."""

GRACE_SECONDS = 20.0
"""Before this a body may be as slow as it likes."""
SLOWEST = 1024
"""Bytes a second that a body must keep up with after that, on average; a 2G phone sends 4,000."""

SPOOL_BYTES = 4 * MEBIBYTE
"""A photo above this size waits on disk, so that many slow uploads do not fill the memory. Most
photos of a phone are below it: writing them out piece by piece would cost as much processor time
as the rest of receiving them."""
IN_MEMORY = 32
"""So many uploads of a process may be in memory at a time, `SPOOL_BYTES` each; the others are on
disk from their first piece on."""
DISK_SPOOL_BYTES = 64 * 1024

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


class UploadsFull(RequestRefused):
    """There is no room for further bytes of any request."""

    def __init__(self) -> None:
        super().__init__(
            "Too many photos arrive at the moment; send it again in a few seconds.",
            HTTPStatus.TOO_MANY_REQUESTS,
        )


class Uploads:
    """Counts the bytes of all uploads that a process has in hand."""

    def __init__(self, limit: int) -> None:
        """Allow ``limit`` bytes at a time, in memory and on disk together."""
        self.limit = limit
        self.bytes = 0
        self.in_memory = 0
        self._lock = threading.Lock()

    def open(self) -> PhotoFile:
        """A file for one photo."""
        return PhotoFile(self)

    def take(self, count: int) -> None:
        """Count further bytes in.

        Raises:
            UploadsFull: They are more than there is room for.
        """
        with self._lock:
            if self.bytes + count > self.limit:
                raise UploadsFull
            self.bytes += count

    def take_memory(self) -> bool:
        """Whether one more upload may be in memory; then it counts as such."""
        with self._lock:
            free = self.in_memory < IN_MEMORY
            self.in_memory += free
            return free

    def give_back(self, held: dict[str, int]) -> None:
        """Count out what a file has counted in."""
        with self._lock:
            self.bytes -= held["bytes"]
            self.in_memory -= held["in_memory"]


class PhotoFile(SpooledTemporaryFile[bytes]):
    """A photo as it arrives: in memory while there is room, else on disk, counted in any case.

    It is counted out when it is closed or nobody has it any more.
    """

    def __init__(self, uploads: Uploads) -> None:
        in_memory = uploads.take_memory()
        super().__init__(max_size=SPOOL_BYTES if in_memory else DISK_SPOOL_BYTES)
        self._uploads = uploads
        self._held = {"bytes": 0, "in_memory": int(in_memory)}
        self._end = weakref.finalize(self, uploads.give_back, self._held)
        self._end.atexit = False

    def write(self, data: bytes) -> int:  # type: ignore[override]  # text is for other modes
        """Write a piece of the photo.

        Raises:
            UploadsFull: There is no room for it.
        """
        self._uploads.take(len(data))
        self._held["bytes"] += len(data)
        return super().write(data)

    def close(self) -> None:
        """Close it, and make room."""
        super().close()
        self._end()

    def __exit__(self, *exception: object) -> None:
        self.close()


@functools.cache
def uploads_of_process() -> Uploads:
    """The one count of this process."""
    return Uploads(Settings.from_environment().max_uploads_bytes)


class BoundedBody:
    """An ASGI ``receive`` that raises when too much has come, or too slowly.

    Raises:
        BodyTooLarge: More bytes than so many photos may have.
        BodyTooSlow: Fewer than `SLOWEST` bytes a second.
    """

    def __init__(self, scope: Scope, receive: Receive, photo_bytes: int, photos: int) -> None:
        self._receive = receive
        self._limit = photos * photo_bytes + FORM_OVERHEAD
        self._received = 0
        self._complete = False
        self._started = asyncio.get_running_loop().time()
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
        deadline = self._started + GRACE_SECONDS + self._received / SLOWEST
        try:
            async with asyncio.timeout_at(deadline):
                event = await self._receive()
        except TimeoutError:
            self.refusal = BodyTooSlow()
            raise self.refusal from None
        self._received += len(event.get("body", b""))
        self._complete = not event.get("more_body", False)
        if self._received > self._limit:
            self.refusal = self._too_large
            raise self.refusal
        return event


def bounded(request: Request, photo_bytes: int, photos: int) -> Request:
    """The same request; reading it raises `RequestRefused` when too much comes, or too slowly.

    Raises:
        BodyTooLarge: It says itself that it is too large.
    """
    body = BoundedBody(request.scope, request.receive, photo_bytes, photos)
    if body.refusal is not None:
        raise body.refusal
    if hasattr(request, "_body"):  # somebody has read it already, as BentoML does for a task
        return request
    return Request(request.scope, body)


class UploadLimit:
    """ASGI middleware: bounds the bodies of ``/check`` and ``/check_batch``."""

    def __init__(self, app: ASGIApp, photo_bytes: int, max_photos: int) -> None:
        self.app = app
        self.photo_bytes = photo_bytes
        self.max_photos = max_photos

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its body is too large."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        photos = self.max_photos if scope["path"].endswith("/check_batch") else 1
        body = BoundedBody(scope, receive, self.photo_bytes, photos)
        answer = refused_upload(body.refusal) if body.refusal else self.app
        await answer(scope, body, send)


def refused_upload(refusal: BentoMLException) -> JSONResponse:
    """The answer to a request that was refused, maybe while its body is still arriving."""
    if isinstance(refusal, (BodyTooLarge, UploadsFull)):
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
                with anyio.move_on_after(DRAIN_SECONDS):
                    while (await receive()).get("more_body"):
                        pass
                event = {"type": "http.response.body", "body": b""}
            await send(event)

        await super().__call__(scope, receive, send_then_drain)
