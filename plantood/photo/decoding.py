"""The threads in which photos are decoded, and whose turn it is.

Decoding takes the memory of a whole picture for some formats, and hardly any for a JPEG. So each
photo says what it will take once its header is read (`images`). Most go on at once. A heavy one
leaves its thread again and waits for its turn: until the memory that all may take together has room
for it, and so that of several threads one is always left for the others.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

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
    """Runs work in threads, within a bound on memory. May be shared between threads."""

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
        self._waiting: deque[tuple[int, Work[Any], Future[Any]]] = deque()
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
        """What comes of :meth:`submit`, for an event loop."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Work[Result]) -> Future[Result]:
        """Do a piece of work in a thread. Whoever cancels the future waits for it no longer.

        Args:
            work: Called with an `Admit`, which it asks before it takes memory. It may be called
                twice: again when it is its turn.
        """

        def settle(done: Future[Result]) -> None:
            if done.cancelled():  # those behind it may have room
                self._next_turns()

        answer: Future[Result] = Future()
        answer.add_done_callback(settle)
        self._begin(work, answer, 0)
        return answer

    def _begin(self, work: Work[Result], answer: Future[Result], granted: int) -> None:
        """Do it in a thread, with memory that is already taken; it is given back there."""

        def settle(done: Future[None]) -> None:
            if done.cancelled():  # all threads end, and it was never begun
                self._give_back(granted, heavy=bool(granted))
                answer.cancel()

        try:
            self._pool.submit(self._answer, work, answer, granted).add_done_callback(settle)
        except RuntimeError as error:  # they have ended
            self._give_back(granted, heavy=bool(granted))
            with suppress(InvalidStateError):
                answer.set_exception(error)

    def _answer(self, work: Work[Result], answer: Future[Result], granted: int) -> None:
        """Do it and say what came of it, unless it was given up; or let it wait for its turn."""
        with suppress(InvalidStateError):  # given up meanwhile
            try:
                result = self._do(work, answer, granted)
            except _HasToWait as waits:
                with self._lock:
                    self._waiting.append((waits.memory, work, answer))
            except BaseException as error:
                answer.set_exception(error)
            else:
                answer.set_result(result)
        self._next_turns()

    def _do(self, work: Work[Result], answer: Future[Result], granted: int) -> Result:
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
            if answer.cancelled():
                raise CancelledError
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

    def _next_turns(self) -> None:
        """Let those go on for whom there is room now, first come, first served."""
        while turn := self._next_turn():
            self._begin(*turn)

    def _next_turn(self) -> tuple[Work[Any], Future[Any], int] | None:
        """The first of those that wait, if there is room; its memory is taken then."""
        with self._lock:
            while self._waiting and self._waiting[0][2].cancelled():
                self._waiting.popleft()
            if not self._waiting:
                return None
            memory, work, answer = self._waiting[0]
            fits = (
                self._heavy_running < self._heavy_threads
                and self._heavy_taken + memory <= self.largest
                and self._taken + memory <= self._memory
            )
            if not fits:
                return None
            self._waiting.popleft()
            self._taken += memory
            self._heavy_taken += memory
            self._heavy_running += 1
            return work, answer, memory
