"""How much of a request's head the server takes, and for how long a connection waits.

uvicorn bounds neither: its parser in C (httptools) collects a header that never ends until the
memory does, requests that are sent without waiting for answers are queued without end, and a
connection stays open on which nothing is sent, or whatever is no request, or on which no answer is
taken. A request is seen by nobody else before its head is complete, nor after it has been answered,
so this can only be done in the server's protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from http import HTTPStatus
from typing import Any

if sys.platform != "win32":
    import resource
if sys.platform == "linux":
    import fcntl
    import termios

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
"""Until a head is there, from the connection on, or after an answer from the last moment at which
one may begin (uvicorn's ``timeout_keep_alive``); whatever else is sent, as the rest of a body."""
ANSWER_SECONDS = 30.0
"""In which as much of an answer is taken as `SLOWEST` says; so it may pause for most of them."""
SLOWEST = 1024
"""Bytes a second that a body and an answer must keep up with; a 2G phone has 4,000."""
PIPELINED = 8
"""Requests of a connection that may wait until the one before them is answered. Hardly a client
sends any so, and one that does sends again what was not answered (RFC 9112, section 9.3.2)."""
CONNECTIONS = 1000
"""Of one worker at a time, so that its file descriptors do not end, however few it is given."""
DESCRIPTORS = 32_768
"""Of connections and of uploads on disk (`plantood.http.room.most_on_disk`) together."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; what passes them is answered in JSON, and hung up on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._not_body = self._head = self._chunks = self._body = 0
        self._is_in_head = self._is_full = False
        self._idle_since = self.loop.time()
        self._untaken: tuple[int, float] | None = None
        self._next_look: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # as in uvicorn's: it writes, too
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._look_in(HEAD_SECONDS)
        if len(self.connections) > min(CONNECTIONS, descriptors() // 2):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Keep the application from making more of an answer than is taken."""
        self._is_full, self._untaken = True, None
        super().pause_writing()

    def resume_writing(self) -> None:
        """Let it go on."""
        self._is_full, self._untaken = False, None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        self._not_body += len(data)
        super().data_received(data)
        if self._not_body > HEAD_BYTES:
            self._refuse_large_head()

    def on_message_begin(self) -> None:
        """Begin to take a head."""
        self._is_in_head = True
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
        """Hand a request on.

        Raises:
            ValueError: It is refused, so that what has arrived is not parsed any further.
        """
        self._is_in_head = False
        if len(self.pipeline) >= PIPELINED:
            self.transport.close()
        elif self._head > HEAD_BYTES:  # all in one piece, so that it was not seen to grow
            self._refuse_large_head()
        elif len(self.url) > TARGET_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"The address is longer than {TARGET_BYTES // 1024} kB.",
            )
        if self.transport.is_closing():
            raise ValueError("refused")
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

    def on_response_complete(self) -> None:
        """Begin to wait for the next head, which may begin as late as uvicorn waits for it."""
        self._idle_since = self.loop.time() + self.timeout_keep_alive
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; uvicorn does so in plain text."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _look_in(self, seconds: float) -> None:
        self._next_look = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Hang up on whoever keeps the connection for nothing, or look again later.

        A timer that is set seldom and asks what has become of it: to set one anew for whatever
        happens on a connection would cost each request more than it is worth.
        """
        if self not in self.connections:  # it is a WebSocket's by now
            return
        now = self.loop.time()
        if self._is_left_untaken(now):
            self.transport.abort()  # to close it would wait for the rest to be taken
            return
        seconds = min(HEAD_SECONDS, ANSWER_SECONDS)
        if not self._is_answering() and not self.transport.is_closing():
            left = self._idle_since + HEAD_SECONDS - now
            if left > 0:
                seconds = min(seconds, left)
            elif self._is_in_head:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")
            else:
                self.transport.close()  # nothing was asked
        self._look_in(seconds)

    def _is_left_untaken(self, now: float) -> bool:
        """Whether an answer is there, and it is hardly taken.

        While the application makes one, and there is room for it, it is the application's time.
        """
        unsent = self.transport.get_write_buffer_size()
        is_over = not self._is_answering() or self.transport.is_closing()
        if not unsent or not (self._is_full or is_over):
            self._untaken = None
            return False
        unsent += _held_by_the_system(self.transport)
        if self._untaken is None:
            self._untaken = unsent, now
        before, since = self._untaken
        if now - since < ANSWER_SECONDS:
            return False
        self._untaken = unsent, now
        return before - unsent < SLOWEST * (now - since)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

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
        if not self._is_answering():
            return True
        cycle = self.cycle
        return cycle.more_body and not cycle.response_started and not self.pipeline


def _held_by_the_system(transport: asyncio.BaseTransport) -> int:
    """Bytes that were handed to the system, and that the other side has not taken yet.

    The system takes more only when a third of its buffer is free: a slow phone's answer would seem
    to stand still in between. 0 where the system does not say (see tcp(7), SIOCOUTQ).
    """
    connection = transport.get_extra_info("socket")
    if sys.platform == "linux" and connection is not None:
        with contextlib.suppress(OSError):  # of another kind, or gone
            held = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
            return int.from_bytes(held, sys.byteorder)
    return 0


def bound_connections() -> None:
    """Let every uvicorn server that this process starts from now on bound its connections."""
    serve_by(BoundedProtocol)
    _raise_descriptors()


def descriptors() -> int:
    """How many files and connections this process may have open, as far as that matters here."""
    if sys.platform == "win32":
        return DESCRIPTORS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return DESCRIPTORS if soft == resource.RLIM_INFINITY else min(DESCRIPTORS, soft)


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
