"""Rows that become ready at about the same time travel together in one call.

A call from one service to another costs some ten milliseconds of processor time on both sides,
whatever it carries, and a network is faster on several rows than on one. So a row waits a moment
for those that are known to come; alone it leaves at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Call = Callable[[NDArray[Any], float], Awaitable[NDArray[Any]]]
"""A batch ``[N, ...]``, and by when it must be answered in the event loop's time, to one row of
results for each of its rows, ``[N, ...]``."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    row: NDArray[Any]
    deadline: float
    answer: asyncio.Future[NDArray[Any]]


LINGER = 0.06
"""Seconds that a row waits at most for others: what one photo of 12 megapixels takes to decode."""


class Coalescer:
    """Merges the rows of many callers into few calls. Belongs to one event loop."""

    def __init__(
        self, call: Call, max_rows: int, more_coming: Callable[[], bool], linger: float = LINGER
    ) -> None:
        """Merge into ``call``.

        Args:
            call: gives one result for each row.
            max_rows: in one call.
            more_coming: whether it is worth waiting, asked when a row comes.
            linger: longest wait in seconds.
        """
        self._call = call
        self._max_rows = max_rows
        self._more_coming = more_coming
        self._linger = linger
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, row: NDArray[Any], deadline: float) -> NDArray[Any]:
        """The result of one row; raises what the call that carried it raised.

        A call lasts until the latest deadline of those that it carries. Whoever has an earlier one
        has to stop waiting by itself.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[NDArray[Any]] = loop.create_future()
        self._waiting.append(_Waiting(row, deadline, answer))
        if len(self._waiting) >= self._max_rows or not self._more_coming():
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._linger, self._send)
        return await answer

    def _send(self) -> None:
        """Start the call that carries all that waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        taken, self._waiting = self._waiting, []
        task = asyncio.create_task(self._carry(taken))
        self._tasks.add(task)  # the loop itself keeps no strong reference
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, taken: list[_Waiting]) -> None:
        # A caller that has gone, or waited too long, needs no answer.
        taken = [waiting for waiting in taken if not waiting.answer.done()]
        if not taken:
            return
        rows = np.stack([waiting.row for waiting in taken])
        try:
            results = await self._call(rows, max(waiting.deadline for waiting in taken))
        except Exception as error:
            for waiting in taken:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        else:
            for waiting, result in zip(taken, results, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(result)
