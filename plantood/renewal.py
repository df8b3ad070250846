"""A caller is asked to connect anew now and then, so that it finds scorers that were added.

Kubernetes, like any balancer of connections, chooses a server once for each connection, and busy
callers keep theirs: a scorer that is started to share the load would get none of it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

REQUESTS = 100
"""Requests on one connection, on average."""

Message = MutableMapping[str, Any]


class RenewConnections:
    """ASGI middleware: one answer in a hundred says ``Connection: close``.

    The caller learns it together with the answer, so no request is lost. A Unix socket leads to one
    server only and stays.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(
        self, scope: Message, receive: Any, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Pass a request on."""
        over_tcp = scope["type"] == "http" and scope.get("client")
        if not over_tcp or random.random() * REQUESTS >= 1:
            return await self.app(scope, receive, send)

        async def send_last(event: Message) -> None:
            if event["type"] == "http.response.start":
                headers = [*event.get("headers", ()), (b"connection", b"close")]
                event = {**event, "headers": headers}
            await send(event)

        await self.app(scope, receive, send_last)
