from __future__ import annotations

import asyncio
import json
import pickle
import struct
import subprocess
import sys
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from _bentoml_impl.serde import JSONSerde, PickleSerde
from bentoml._internal.marshal.dispatcher import CorkDispatcher
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from plantood.bentoml_private import never_wait
from plantood.http.apps import scorer
from plantood.http.apps.scorer import ScoreInput
from plantood.refusals import RequestRefused
from plantood.settings import MOST_PHOTOS
from tests.damage import damaged
from tests.security.payloads import forged_array, large_memo
from tests.strangers import request

SIZE = 3
BATCH = np.arange(2 * SIZE * SIZE * 3, dtype=np.uint8).reshape(2, SIZE, SIZE, 3)
BODY = ScoreInput(images=BATCH).model_dump()


def received(body: bytes, serde: Any = None, cuts: list[int] | None = None) -> np.ndarray:
    """What a scorer of photos of 3 pixels a side reads."""
    sent = request(body, PickleSerde.media_type.encode(), cuts or [])
    sent.scope["app"] = SimpleNamespace(state=SimpleNamespace(input_size=SIZE))
    images: np.ndarray = asyncio.run(
        ScoreInput.from_http_request(sent, serde or PickleSerde())
    ).images
    return images


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(SIZE), st.just(SIZE), st.just(3))),
    st.booleans(),
)
def test_any_batch_arrives(batch: np.ndarray, by_columns: bool) -> None:
    sent = np.asfortranarray(batch) if by_columns else batch
    found = received(ScoreInput(images=sent).model_dump())
    assert found.dtype == np.uint8
    assert np.array_equal(found, batch)


@given(array_shapes(min_dims=4, max_dims=4, min_side=0, max_side=5))
def test_a_batch_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    """It would be made one array with right ones that wait beside it."""
    body = ScoreInput(images=np.zeros(shape, np.uint8)).model_dump()
    if shape[1:] == (SIZE, SIZE, 3) and shape[0]:
        assert received(body).shape == shape
        return
    with pytest.raises(RequestRefused) as caught:
        received(body)
    assert caught.value.error_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("photos", [0, MOST_PHOTOS + 1])
def test_no_photo_and_too_many_are_refused(photos: int) -> None:
    body = ScoreInput(images=np.zeros((photos, SIZE, SIZE, 3), np.uint8)).model_dump()
    with pytest.raises(RequestRefused, match=f"N from 1 to {MOST_PHOTOS}"):
        received(body)


def test_a_body_larger_than_any_batch_is_refused_unread() -> None:
    sent = request(b"", PickleSerde.media_type.encode(), headers=[(b"content-length", b"9" * 9)])
    with pytest.raises(RequestRefused) as caught:
        asyncio.run(ScoreInput.from_http_request(sent, PickleSerde()))
    assert caught.value.error_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


NUMBERS = st.recursive(
    st.integers(-1, 300) | st.floats() | st.none() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=12,
)
SHAPES = st.tuples(
    *(st.sampled_from([0, 1, 2, 3, 256, 257, 1 << 31, (1 << 32) - 1]) for _ in range(4))
)


@given(
    damaged(BODY)
    | st.binary(max_size=60)
    | st.builds(lambda shape, rest: struct.pack("<4I", *shape) + rest, SHAPES, st.binary())
    | NUMBERS.map(lambda value: pickle.dumps({"images": value})),
    st.lists(st.integers(0, 1000), max_size=3),
)
def test_any_body_is_a_batch_or_refused(body: bytes, cuts: list[int]) -> None:
    try:
        images = received(body, cuts=cuts)
    except RequestRefused as refused:
        assert refused.error_code == HTTPStatus.BAD_REQUEST  # noqa: PT017 (or it is a batch)
        return
    assert (images.dtype, images.shape[1:]) == (np.uint8, (SIZE, SIZE, 3))


@given(NUMBERS)
def test_what_is_not_sent_as_gates_do_is_refused_unread(value: Any) -> None:
    """BentoML would make an array of any list, however large."""
    with pytest.raises(RequestRefused) as caught:
        received(json.dumps({"images": value}).encode(), JSONSerde())
    assert caught.value.error_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


READ = """
import resource, sys
from plantood.refusals import RequestRefused
from plantood.settings import MOST_PHOTOS
from tests.http.apps.test_scorer import received

resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pickles = sys.stdin.buffer.read()
while pickles:
    length, pickles = int.from_bytes(pickles[:4], "little"), pickles[4:]
    try:
        received(pickles[:length])
    except RequestRefused:
        print("refused")
    pickles = pickles[length:]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_pickle_is_never_read() -> None:
    """In a process of its own: read, each of them ends it, or takes a gigabyte."""
    pickles = [forged_array(), large_memo(1 << 26)]
    pickles += [pickle.dumps({"images": BATCH}, protocol) for protocol in range(6)]
    given_to_it = b"".join(len(one).to_bytes(4, "little") + one for one in pickles)
    done = subprocess.run(
        [sys.executable, "-c", READ], input=given_to_it, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    *refused, kilobytes = done.stdout.split()
    assert refused == [b"refused"] * len(pickles)
    assert int(kilobytes) < 100_000


def test_nothing_around_the_scorer_knows_of_unpickling() -> None:
    assert not {"pickle", "loads", "Unpickler"} & set(vars(scorer))


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
