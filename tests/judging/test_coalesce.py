from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from plantood.judging.coalesce import Coalescer

FOREVER = 1e6


class Doubler:
    """Doubles rows, and remembers how many came at a time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.deadlines: list[float] = []

    async def __call__(self, batch: np.ndarray, deadline: float) -> np.ndarray:
        self.sizes.append(len(batch))
        self.deadlines.append(deadline)
        await asyncio.sleep(0)
        if np.any(batch < 0):
            raise ValueError("negative")
        return 2 * batch


def row(value: int) -> np.ndarray:
    return np.full(3, value)


def ask(
    values: list[int], *, max_rows: int, more_coming: Callable[[], bool], linger: float = FOREVER
) -> tuple[list[int], list[np.ndarray | BaseException]]:
    """The sizes of the calls, and what each of many simultaneous callers got."""

    async def scenario() -> list[np.ndarray | BaseException]:
        coalescer = Coalescer(call, max_rows, more_coming, linger)
        return await asyncio.gather(
            *(coalescer(row(v), FOREVER) for v in values), return_exceptions=True
        )

    call = Doubler()
    return call.sizes, asyncio.run(scenario())


def test_a_row_leaves_at_once_if_no_other_is_coming() -> None:
    sizes, results = ask([1, 2, 3], max_rows=8, more_coming=lambda: False)
    assert sizes == [1, 1, 1]
    assert [r.tolist() for r in results] == [[2] * 3, [4] * 3, [6] * 3]


def test_rows_wait_for_those_that_come_and_leave_together() -> None:
    coming = iter([True, True, False, True, False])
    sizes, results = ask([0, 1, 2, 3, 4], max_rows=8, more_coming=lambda: next(coming))
    assert sizes == [3, 2]
    assert [int(r[0]) for r in results] == [0, 2, 4, 6, 8]


def test_a_call_is_never_larger_than_allowed() -> None:
    sizes, results = ask(list(range(8)), max_rows=4, more_coming=lambda: True)
    assert sizes == [4, 4]
    assert [int(r[0]) for r in results] == [2 * n for n in range(8)]


def test_nobody_waits_longer_than_the_linger() -> None:
    sizes, _ = ask([1, 2], max_rows=8, more_coming=lambda: True, linger=0.01)
    assert sizes == [2]


def test_an_error_reaches_those_whom_the_call_carried_and_nobody_else() -> None:
    sizes, results = ask([1, -1, 2, 3], max_rows=2, more_coming=lambda: True)
    assert sizes == [2, 2]
    assert [isinstance(r, ValueError) for r in results] == [True, True, False, False]


def test_a_call_lasts_as_long_as_the_most_patient_of_its_callers() -> None:
    async def scenario() -> list[float]:
        call = Doubler()
        coalescer = Coalescer(call, 3, more_coming=lambda: True)
        await asyncio.gather(*(coalescer(row(1), deadline) for deadline in (7.0, 9.0, 8.0)))
        return call.deadlines

    assert asyncio.run(scenario()) == [9.0]


def test_a_caller_that_gave_up_is_not_sent() -> None:
    async def scenario() -> None:
        call = Doubler()
        coalescer = Coalescer(call, 8, more_coming=lambda: True, linger=0.01)
        gone, stays = (asyncio.create_task(coalescer(row(n), FOREVER)) for n in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await stays).tolist() == [4, 4, 4]
        assert call.sizes == [1]
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(scenario())
