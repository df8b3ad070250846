from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _bentoml_impl.serde import Payload, PickleSerde
from bentoml._internal.marshal.dispatcher import CorkDispatcher

from plantood.bentoml_private import never_wait
from plantood.http.scorer_app import ArraySerde
from tests.security.payloads import Evil

Array = Callable[[], np.ndarray]


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        lambda: np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(4, 6)),
        lambda: np.arange(24, dtype=np.float32)[::2],
        lambda: np.empty((0, 3), np.uint8),
    ],
    ids=["usual", "by columns", "with gaps", "empty"],
)
def test_arrays_arrive_as_bentoml_sends_them(make: Array) -> None:
    payload = PickleSerde().serialize_value({"images": make()})
    received = ArraySerde().deserialize_value(payload)["images"]
    assert received.dtype == make().dtype
    assert np.array_equal(received, make())


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    pickles = [pickle.dumps({"images": Evil(mark)}), pickle.dumps(Evil(mark), 0)]
    for data in pickles:
        with pytest.raises(ValueError, match="holds no arrays"):
            ArraySerde().deserialize_value(Payload((data,)))
    assert not mark.exists()


@pytest.mark.parametrize("data", [b"", b"\x80\x05", b"nonsense", b"\x80\x05K\x01"])
def test_what_is_no_pickle_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="holds no arrays"):
        ArraySerde().deserialize_value(Payload((data,), {"buffer-lengths": "x,-1"}))


async def _lone_ms(dispatcher: CorkDispatcher[Any, Any], burst: int) -> float:
    """Milliseconds of a lone call after a burst of calls at the same time."""

    async def work(batch: tuple[int, ...]) -> list[int]:
        await asyncio.sleep(0.004)
        return list(batch)

    call = dispatcher(work)
    await asyncio.gather(*(call(number) for number in range(burst)))
    dispatcher.optimizer.trigger_refresh()
    loop = asyncio.get_running_loop()
    started = loop.time()
    await call(1)
    return (loop.time() - started) * 1000


def _dispatcher() -> CorkDispatcher[Any, Any]:
    def overloaded() -> None:
        raise RuntimeError("overloaded")

    return CorkDispatcher(10_000, 8, fallback=overloaded, get_batch_size=lambda _: 1)


def test_a_lone_photo_after_a_burst_is_not_held_back() -> None:
    dispatcher = _dispatcher()
    never_wait([dispatcher])
    assert asyncio.run(_lone_ms(dispatcher, 800)) < 40


def test_bentoml_still_holds_it_back() -> None:
    """Once it does not, `never_wait` can go."""
    assert asyncio.run(_lone_ms(_dispatcher(), 800)) > 80
