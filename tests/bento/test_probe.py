from __future__ import annotations

import asyncio

import pytest

from plantood.bento.probe import Probe


class Look:
    """Takes a moment, and finds what it is told to find."""

    def __init__(self) -> None:
        self.looks = 0
        self.found: bool | Exception = True

    async def __call__(self) -> bool:
        self.looks += 1
        found = self.found
        await asyncio.sleep(0.05)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.mark.parametrize("found", [True, False])
def test_all_who_ask_at_once_get_one_look(found: bool) -> None:
    async def run() -> None:
        look = Look()
        look.found = found
        probe = Probe(look, good_for_s=60)
        assert await asyncio.gather(*(probe() for _ in range(400))) == [found] * 400
        look.found = not found
        assert await probe() is found
        assert look.looks == 1

    asyncio.run(run())


def test_an_answer_is_good_for_a_while_only() -> None:
    async def run() -> None:
        look = Look()
        probe = Probe(look, good_for_s=0.1)
        assert await probe()
        look.found = False
        await asyncio.sleep(0.11)
        assert not await probe()

    asyncio.run(run())


def test_who_goes_away_takes_the_answer_from_nobody() -> None:
    async def run() -> None:
        look = Look()
        probe = Probe(look, good_for_s=60)
        first, second = (asyncio.create_task(probe()) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second
        assert look.looks == 1

    asyncio.run(run())


def test_a_look_that_breaks_is_not_kept_for_ever() -> None:
    async def run() -> None:
        look = Look()
        look.found = RuntimeError("broken")
        probe = Probe(look, good_for_s=0)
        with pytest.raises(RuntimeError):
            await probe()
        look.found = True
        assert await probe()

    asyncio.run(run())
