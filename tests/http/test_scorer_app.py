from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _bentoml_impl.serde import JSONSerde, Payload, PickleSerde
from bentoml._internal.marshal.dispatcher import CorkDispatcher
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from plantood.bentoml_private import never_wait
from plantood.http.scorer_app import ArraySerde, ScoreInput
from plantood.refusals import RequestRefused
from tests.damage import damaged
from tests.security.payloads import Evil
from tests.strangers import request

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


PICKLED = PickleSerde().serialize_value({"images": np.zeros((2, 3, 3, 3), np.uint8)})
BYTES = b"".join(PICKLED.data)
LENGTHS = PICKLED.metadata["buffer-lengths"]
SIZES = st.sampled_from([LENGTHS, "", "0", "-1", "9" * 30]) | st.text("0123456789,- x", max_size=12)


@given(
    arrays(
        st.sampled_from([np.uint8, np.int64, np.float32, np.bool_]),
        array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_any_array_arrives(array: np.ndarray) -> None:
    received = ArraySerde().deserialize_value(PickleSerde().serialize_value(array))
    assert (received.dtype, received.shape) == (array.dtype, array.shape)
    assert np.array_equal(received, array, equal_nan=array.dtype.kind == "f")


@given(damaged(BYTES) | st.binary(max_size=60), SIZES)
def test_any_bytes_are_read_or_refused(data: bytes, lengths: str) -> None:
    with suppress(ValueError):
        ArraySerde().deserialize_value(Payload((data,), {"buffer-lengths": lengths}))


NUMBERS = st.recursive(
    st.integers(-1, 300) | st.floats() | st.none() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("serde", [PickleSerde, JSONSerde])
@given(
    damaged(BYTES)
    | st.binary(max_size=60)
    | NUMBERS.map(lambda images: json.dumps({"images": images}).encode())
    | NUMBERS.map(lambda value: pickle.dumps({"images": value}))
    | NUMBERS.map(pickle.dumps),
    SIZES,
    st.lists(st.integers(0, 1000), max_size=3),
)
def test_any_body_is_a_batch_or_refused(
    serde: type[PickleSerde | JSONSerde], body: bytes, lengths: str, cuts: list[int]
) -> None:
    headers = [(b"buffer-lengths", lengths.encode())]
    sent = request(body, serde.media_type.encode(), cuts, headers=headers)
    try:
        images = asyncio.run(ScoreInput.from_http_request(sent, serde())).images
    except RequestRefused as refused:
        assert refused.error_code == HTTPStatus.BAD_REQUEST  # noqa: PT017 (or it is a batch)
        return
    assert (images.dtype, images.ndim, images.shape[-1]) == (np.uint8, 4, 3)


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
