"""How much of a request's head the server takes, and for how long it waits for it.

uvicorn bounds neither: its parser in C (httptools) collects a header that never ends until the
memory does, and a connection on which nothing is sent stays open. A request is seen by nobody else
before its head is complete, so this can only be done in the server's protocol.
"""

from __future__ import annotations

import asyncio
import json
import sys
from http import HTTPStatus
from typing import Any

if sys.platform != "win32":
    import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plantood.bentoml_private import serve_by
from plantood.refusals import error_headers

HEAD_BYTES = 64 * 1024
"""Of the request line and all headers together, and of whatever else is not body."""
TARGET_BYTES = 8 * 1024
"""Of the path with its query, which is written into logs."""
CHUNKS, CHUNK_BYTES = 1000, 256
"""Beyond so many, the chunks of a body have so many bytes on average. Each costs the event loop as
much as a thousand bytes do, and it is the one of all requests."""
HEAD_SECONDS = 20.0
CONNECTIONS = 1000
"""Of one worker at a time, so that its file descriptors do not end, however few it is given."""
DESCRIPTORS = 16_384
"""Of connections and uploads on disk together: an upload there has 64 kB, so that all room for them
(512 MiB) ends before."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; what passes them is answered in JSON, and hung up on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._not_body = self._head = self._chunks = self._body = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # as in uvicorn's: it writes, too
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > CONNECTIONS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        self._not_body += len(data)
        super().data_received(data)
        if self._not_body > HEAD_BYTES:
            self._refuse_large_head()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        self._wait_for_head()
        self._head = self._chunks = self._body = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target; never more than its limit and one byte."""
        super().on_url(url)
        self.url = self.url[: TARGET_BYTES + 1]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._head += len(name) + len(value) + len(": \r\n")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand a request on."""
        self._stop_waiting()
        if self._head > HEAD_BYTES:  # all in one piece, so that it was not seen to grow
            self._refuse_large_head()
            return
        if len(self.url) > TARGET_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"The address is longer than {TARGET_BYTES // 1024} kB.",
            )
            return
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Count a chunk of the body.

        Raises:
            ValueError: There are too many, so that what has arrived is not parsed any further.
        """
        self._chunks += 1
        if self._chunks > CHUNKS + self._body // CHUNK_BYTES:
            self._refuse(
                HTTPStatus.BAD_REQUEST,
                f"The body comes in chunks of less than {CHUNK_BYTES} bytes.",
            )
            raise ValueError("too many chunks")

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        self._not_body = 0
        self._body += len(body)
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._not_body = 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; uvicorn does so in plain text."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._waited_long_enough)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _waited_long_enough(self) -> None:
        self._head_timer = None
        if self._not_body:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")
        else:
            self.transport.close()  # nothing was asked

    def _refuse_large_head(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The headers are larger than {HEAD_BYTES // 1024} kB.",
        )

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer, unless a request before this one is being answered, and hang up."""
        if self.transport.is_closing():
            return
        if self._is_next_to_be_answered():
            content = json.dumps({"error": sentence}).encode()
            headers = error_headers(status) | {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                "Connection": "close",
            }
            lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + content)
        self.transport.close()

    def _is_next_to_be_answered(self) -> bool:
        """Whether an answer now would be taken for that of the request that is being parsed."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        return cycle.more_body and not cycle.response_started and not self.pipeline


def bound_connections() -> None:
    """Let every uvicorn server that this process starts from now on bound its connections."""
    serve_by(BoundedProtocol)
    _raise_descriptors()


def _raise_descriptors() -> None:
    """Take as many file descriptors as the system gives, and all connections and uploads may need.

    Often there are 1,024 until one asks, and a few forms of many photos would take them all.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
