"""A caller is asked to connect anew now and then, so that it finds scorers that were added.

Kubernetes, like any balancer of connections, chooses a server once for each connection, and busy
callers keep theirs: a scorer that is started to share the load would get none of it.
"""

from __future__ import annotations

import random

from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = 100
"""Requests on one connection, on average."""


class RenewConnections:
    """ASGI middleware: one answer in a hundred says ``Connection: close``.

    The caller learns it together with the answer, so no request is lost. A Unix socket leads to one
    server only and stays.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
