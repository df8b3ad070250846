"""One connection to the review server, which can neither grow nor last for ever.

uvicorn waits without end for the rest of a request and for somebody who does not take the answer,
and says what is no HTTP in the log. What a stranger sends is bounded here, before any application
sees a request: how many connections there are, how long a request may take to arrive, and how long
its answer may take to be made and taken. The headers are bounded by h11 (httptools has no bound).
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from plantood.training.review.server.guard import HEADERS

CONNECTIONS = 250
"""At a time; more would use up the files that a process may have open (often 1,024)."""
HEADER_BYTES = 16 * 1024
REQUEST_SECONDS = 20.0
"""From the connection, or the answer before, until a request is there with its body."""
ANSWER_SECONDS = 300.0
"""From there until the answer has been sent: a photo of 20 MB over a slow network."""
LINGER_SECONDS = 5.0
"""For the last words to get through."""


class Connection(H11Protocol):
    """uvicorn's protocol with bounds; what passes them gets one sentence and is hung up on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._is_whole: bool | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._follow()
        if len(self.connections) > CONNECTIONS:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections; try again later."
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._follow()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, which may be there already."""
        self._is_whole = None
        super().on_response_complete()
        self._follow()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "This is no request that the server understands.")

    def _follow(self) -> None:
        """Set the time for what comes next: the rest of the request, or the answer."""
        is_whole = self.conn.their_state not in (h11.IDLE, h11.SEND_BODY)
        if is_whole is not self._is_whole and not self.transport.is_closing():
            self._is_whole = is_whole
            self._set_timer(ANSWER_SECONDS if is_whole else REQUEST_SECONDS, self._is_too_late)

    def _set_timer(self, seconds: float, then: Any) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, then)

    def _is_too_late(self) -> None:
        if self._is_whole:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "The answer took too long.")
        elif self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()  # nothing was asked: a browser opens some ahead
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer, unless the answer to a request is on its way, and hang up."""
        may_answer = self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if self.cycle is not None:  # whatever the application still sends comes too late
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not may_answer:
            self.transport.abort()
            return
        content = json.dumps({"error": sentence}).encode()
        headers = HEADERS | {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + content)
        self.transport.close()
        self._set_timer(LINGER_SECONDS, self.transport.abort)
