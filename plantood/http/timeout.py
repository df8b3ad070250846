"""How long its sender waits for a verdict, told with the request.

What is left is told, not a time of day, on which two machines may not agree; and in milliseconds,
as Envoy's ``x-envoy-expected-rq-timeout-ms`` and gRPC's ``grpc-timeout`` do. A gate gives up by its
own time or by this one, whichever is over first: a stranger can only shorten it, and only for
himself. An older gate does not know the header.

APIs behind `@gated` do not read it. What becomes of a photo there when its time is over is
``on_gate_error``: whoever could shorten it would have his photo accepted unseen.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.requests import Request

from plantood.refusals import RequestRefused

HEADER = "Plantood-Timeout-Ms"

MOST_MS = 99_999_999
"""More than a day: eight digits, as gRPC has them."""


def ms_until(deadline: float) -> int:
    """Milliseconds until a time of the event loop, from 1 to `MOST_MS`."""
    left = deadline - asyncio.get_running_loop().time()
    return max(1, int(min(left * 1000, MOST_MS)))


def ms_told(request: Request) -> int | None:
    """Milliseconds that the sender of a request says he waits, from 1 to `MOST_MS`; None if none.

    Raises:
        RequestRefused: 400, if he says so in a way that cannot be read: to ignore it would leave a
            program in the belief that it is obeyed.
    """
    if HEADER not in request.headers:
        return None
    told = ", ".join(request.headers.getlist(HEADER))
    if told.isascii() and told.isdigit() and len(told) <= len(str(MOST_MS)) and int(told):
        return int(told)
    raise RequestRefused(
        f"The header {HEADER} is no whole number of milliseconds; send one from 1 to {MOST_MS}.",
        HTTPStatus.BAD_REQUEST,
    )
