"""One look for all who ask: a probe is a GET, which strangers can send as fast as they like."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Probe:
    """Whether something is as it should be, looked up once at a time. Belongs to one event loop."""

    def __init__(self, look: Callable[[], Awaitable[bool]], good_for_s: float) -> None:
        """Look by ``look``, whose answer is good for so many seconds, whatever it is."""
        self._look = look
        self._good_for = good_for_s
        self._looking: asyncio.Task[bool] | None = None
        self._until = float("-inf")

    async def __call__(self) -> bool:
        """What was found a moment ago, or by the look under way, or else by a new one."""
        if self._looking is None or (self._looking.done() and time.monotonic() >= self._until):
            self._looking = asyncio.create_task(self._look_once())
        # Whoever asks may go away; the others still wait.
        return await asyncio.shield(self._looking)

    async def _look_once(self) -> bool:
        try:
            return await self._look()
        finally:
            self._until = time.monotonic() + self._good_for
