"""Whether only a restart can help a gate: what ``/livez`` answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bentoml._internal.configuration.containers import BentoMLContainer


def runs_beside(service: str) -> bool:
    """Whether a service that this one depends on is started and stopped with it.

    The other way is one that runs elsewhere, named by ``--depends NAME=http://...``.
    """
    address = BentoMLContainer.remote_runner_mapping.get().get(service, "")
    return not address.startswith(("http://", "https://"))


def is_served(service: str) -> bool:
    """Whether this service is the one that is called from outside, and no other's helper.

    BentoML gives every worker the addresses of all services: those of helpers are Unix sockets.
    """
    address = BentoMLContainer.remote_runner_mapping.get().get(service, "")
    return address.startswith(("http://", "https://"))


async def answers(question: Callable[[], Awaitable[Any]], seconds: float) -> bool:
    """True if there is any answer to ``question`` within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await question()
    except Exception:
        return False
    return True
