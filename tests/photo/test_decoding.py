from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from plantood.photo import decoding
from plantood.photo.decoding import HEAVY, Decoders
from plantood.photo.images import Admit

SMALL, LARGE = 1 << 20, HEAVY + 1
BUDGET = 4 * LARGE


class Work:
    """Takes so much memory, and is done when it is told."""

    def __init__(self, memory: int, seconds: float = 0.0) -> None:
        self.memory, self.seconds = memory, seconds
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.calls = 0
        if not seconds:
            self.may_end.set()

    def __call__(self, admit: Admit) -> int:
        self.calls += 1
        admit(self.memory)
        self.begun.set()
        self.may_end.wait(5)
        return self.memory


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(2, BUDGET)
    yield decoders
    decoders.close()


async def _until(condition: threading.Event) -> None:
    await asyncio.to_thread(condition.wait, 5)
    assert condition.is_set()


def test_a_light_photo_goes_on_at_once(decoders: Decoders) -> None:
    work = Work(SMALL)
    assert asyncio.run(decoders.run(work)) == SMALL
    assert work.calls == 1
    assert decoders._taken == 0


def test_heavy_photos_leave_a_thread_to_the_others(decoders: Decoders) -> None:
    async def scenario() -> None:
        first, second = Work(LARGE, 1), Work(LARGE, 1)
        running = [asyncio.create_task(decoders.run(first))]
        await _until(first.begun)  # or the other thread's photo may be the first to ask
        running.append(asyncio.create_task(decoders.run(second)))
        assert await asyncio.wait_for(decoders.run(Work(SMALL)), 2) == SMALL
        assert not second.begun.is_set()
        first.may_end.set()
        await _until(second.begun)
        second.may_end.set()
        assert await asyncio.gather(*running) == [LARGE, LARGE]
        assert decoders._taken == decoders._heavy_taken == decoders._heavy_running == 0

    asyncio.run(scenario())


def test_together_they_never_take_more_than_the_memory() -> None:
    decoders = Decoders(8, BUDGET)
    taken, most, lock = 0, 0, threading.Lock()

    def work(memory: int) -> decoding.Work[None]:
        def take(admit: Admit) -> None:
            nonlocal taken, most
            admit(memory)
            with lock:
                taken += memory
                most = max(most, taken)
            time.sleep(0.005)
            with lock:
                taken -= memory

        return take

    async def scenario() -> None:
        sizes = [(number % 5) * LARGE // 2 + SMALL for number in range(60)]
        await asyncio.gather(*(decoders.run(work(size)) for size in sizes))

    asyncio.run(scenario())
    decoders.close()
    assert LARGE < most <= BUDGET
    assert decoders._taken == 0


def test_without_an_event_loop_the_same_holds(decoders: Decoders) -> None:
    first, second, third = (Work(LARGE, 1) for _ in range(3))
    given = [decoders.submit(first)]
    assert first.begun.wait(5)
    given += [decoders.submit(work) for work in (second, third)]
    assert decoders.submit(Work(SMALL)).result(5) == SMALL
    assert not second.begun.is_set()
    assert given[1].cancel()
    first.may_end.set()
    assert third.begun.wait(5)
    third.may_end.set()
    assert (given[0].result(5), given[2].result(5)) == (LARGE, LARGE)
    assert not second.begun.is_set()


def test_at_the_end_nobody_waits_for_ever(decoders: Decoders) -> None:
    first, second = Work(LARGE, 1), Work(LARGE)
    running, waiting = decoders.submit(first), decoders.submit(second)
    assert first.begun.wait(5)
    while not decoders._waiting:
        time.sleep(0.01)
    decoders.close()
    first.may_end.set()
    assert running.result(5) == LARGE
    with pytest.raises(RuntimeError, match="shutdown"):
        waiting.result(5)
    with pytest.raises(RuntimeError, match="shutdown"):
        decoders.submit(second).result(5)
    assert decoders._taken == decoders._heavy_running == 0


def test_one_that_is_given_up_while_it_waits_takes_nothing(decoders: Decoders) -> None:
    async def scenario() -> None:
        first, second, third = (Work(LARGE, 1) for _ in range(3))
        running = [asyncio.create_task(decoders.run(first))]
        await _until(first.begun)
        running += [asyncio.create_task(decoders.run(work)) for work in (second, third)]
        while len(decoders._waiting) < 2:
            await asyncio.sleep(0.01)
        running[1].cancel()
        await asyncio.wait(running[1:2])
        await asyncio.sleep(0.05)  # until the thread's future is told, too
        first.may_end.set()
        await _until(third.begun)
        third.may_end.set()
        assert await running[2] == LARGE
        assert not second.begun.is_set()
        await asyncio.sleep(0.05)
        assert decoders._taken == decoders._heavy_running == 0

    asyncio.run(scenario())


def test_one_that_is_given_up_in_its_thread_holds_its_memory_until_it_ends(
    decoders: Decoders,
) -> None:
    async def scenario() -> None:
        first, second = Work(LARGE, 1), Work(LARGE)
        running = asyncio.create_task(decoders.run(first))
        await _until(first.begun)
        running.cancel()
        after = asyncio.create_task(decoders.run(second))
        await asyncio.sleep(0.1)
        assert not second.begun.is_set()
        first.may_end.set()
        assert await asyncio.wait_for(after, 2) == LARGE

    asyncio.run(scenario())


def test_an_error_gives_the_memory_back(decoders: Decoders) -> None:
    def work(admit: Admit) -> None:
        admit(LARGE)
        raise ValueError("broken")

    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            asyncio.run(decoders.run(work))
    assert decoders._taken == decoders._heavy_running == 0


def test_a_thread_that_hangs_is_noticed(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "STUCK_SECONDS", 0.2)

    async def scenario() -> None:
        hanging = Work(SMALL, 1)
        task = asyncio.create_task(decoders.run(hanging))
        await _until(hanging.begun)
        assert not decoders.is_stuck()
        await asyncio.sleep(0.3)
        assert decoders.is_stuck()
        hanging.may_end.set()
        await task
        assert not decoders.is_stuck()

    asyncio.run(scenario())
