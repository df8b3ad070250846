"""The threads in which photos are decoded, and whose turn it is.

Decoding takes the memory of a whole picture for some formats, and hardly any for a JPEG. So each
photo says what it will take once its header is read (`images`). Most go on at once. A heavy one
leaves its thread again and waits for its turn: until the memory that all may take together has room
for it, and so that one thread is always left for the others.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from plantood.photo.images import Admit

HEAVY = 48 << 20
"""Bytes; a photo that takes more waits for its turn. A JPEG of 12 megapixels takes 21 million."""
HEAVY_SHARE = 0.75
"""Of the memory, which heavy photos may take, so that they never keep out the others."""
STUCK_SECONDS = 60.0
"""No photo takes a tenth of it, since whatever would is refused by its header. A thread that takes
longer hangs, and only a restart brings it back."""

Result = TypeVar("Result")
Work = Callable[[Admit], Result]


class _HasToWait(BaseException):
    """A photo leaves its thread. Not an `Exception`: no decoder may take it for a broken photo."""

    def __init__(self, memory: int) -> None:
        self.memory = memory


class Decoders:
    """Runs work in threads, within a bound on memory. Belongs to one event loop."""

    def __init__(self, threads: int, memory: int) -> None:
        """Start no thread yet.

        Args:
            threads: As many pieces of work run at a time.
            memory: Bytes that they may take together.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._heavy_threads = max(1, threads - 1)
        self._memory = memory
        self._lock = threading.Lock()
        self._taken = self._heavy_taken = self._heavy_running = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._started: dict[int, float] = {}

    @property
    def largest(self) -> int:
        """Bytes that one photo may take."""
        return int(self._memory * HEAVY_SHARE)

    def close(self) -> None:
        """Let the threads end when they have done what they are doing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def is_stuck(self) -> bool:
        """Whether a thread has been at one piece of work for far longer than any takes."""
        oldest = min(self._started.copy().values(), default=float("inf"))
        return time.monotonic() - oldest > STUCK_SECONDS

    async def run(self, work: Work[Result]) -> Result:
        """Do a piece of work in a thread.

        Args:
            work: Called with an `Admit`, which it asks before it takes memory. It may be called
                twice: again when it is its turn.
        """
        try:
            return await self._submit(work, 0)
        except _HasToWait as waits:
            memory = waits.memory
        await self._turn(memory)
        return await self._submit(work, memory)

    async def _submit(self, work: Work[Result], granted: int) -> Result:
        """Do it in a thread, with memory that is already taken; it is given back there."""
        loop = asyncio.get_running_loop()
        future: Future[Result] = self._pool.submit(self._do, work, granted)

        def settle(done: Future[Result]) -> None:
            if granted and done.cancelled():  # it was never begun
                self._give_back(granted, heavy=True)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._next_turns)

        future.add_done_callback(settle)
        return await asyncio.wrap_future(future)

    def _do(self, work: Work[Result], granted: int) -> Result:
        held = 0

        def admit(memory: int) -> None:
            nonlocal held
            if granted or held:
                return
            if memory > HEAVY or not self._take(memory):
                raise _HasToWait(memory)
            held = memory

        key = threading.get_ident()
        self._started[key] = time.monotonic()
        try:
            return work(admit)
        finally:
            del self._started[key]
            if granted or held:
                self._give_back(granted or held, heavy=bool(granted))

    def _take(self, memory: int) -> bool:
        """Take memory for a photo that is in a thread already, if there is some."""
        with self._lock:
            fits = self._taken + memory <= self._memory
            self._taken += memory if fits else 0
            return fits

    def _give_back(self, memory: int, heavy: bool) -> None:
        with self._lock:
            self._taken -= memory
            self._heavy_taken -= memory if heavy else 0
            self._heavy_running -= heavy

    async def _turn(self, memory: int) -> None:
        """Wait until a photo may take so much memory; it has taken it then."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((memory, turn))
        self._next_turns()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came at the same moment
                self._give_back(memory, heavy=True)
            self._next_turns()
            raise

    def _next_turns(self) -> None:
        """Let those go on for whom there is room now, first come, first served."""
        while self._waiting:
            memory, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
                continue
            with self._lock:
                fits = (
                    self._heavy_running < self._heavy_threads
                    and self._heavy_taken + memory <= self.largest
                    and self._taken + memory <= self._memory
                )
                if fits:
                    self._taken += memory
                    self._heavy_taken += memory
                    self._heavy_running += 1
            if not fits:
                return
            self._waiting.popleft()
            turn.set_result(None)
