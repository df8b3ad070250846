"""Whether only a restart can help a gate: what ``/livez`` answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from plantood.bentoml_private import address_of


def runs_beside(service: str) -> bool:
    """Whether a service that this one depends on is started and stopped with it.

    The other way is one that runs elsewhere, named by ``--depends NAME=http://...``.
    """
    return not address_of(service).startswith(("http://", "https://"))


def is_served(service: str) -> bool:
    """Whether this service is the one that is called from outside, and no other's helper.

    BentoML gives every worker the addresses of all services: those of helpers are Unix sockets.
    """
    return address_of(service).startswith(("http://", "https://"))


async def answers(question: Callable[[], Awaitable[Any]], seconds: float) -> bool:
    """True if there is any answer to ``question`` within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await question()
    except Exception:
        return False
    return True
