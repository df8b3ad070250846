from __future__ import annotations

import asyncio
import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantood.http.timeout import HEADER, MOST_MS, ms_told, ms_until
from plantood.refusals import RequestRefused
from tests.strangers import request

NAME = HEADER.lower().encode()


@pytest.mark.parametrize(("value", "told"), [(b"1", 1), (b"0500", 500), (b"99999999", MOST_MS)])
def test_a_number_of_milliseconds_is_taken(value: bytes, told: int) -> None:
    assert ms_told(request(b"", b"", headers=[(NAME, value)])) == told


def test_nothing_said_is_nothing_told() -> None:
    assert ms_told(request(b"", b"")) is None


@pytest.mark.parametrize(
    "values",
    [
        *([b""], [b"0"], [b"-5"], [b"1.5"], [b"5s"], [b"soon"], [b"1e3"], [b"100000000"]),
        *([b"9" * 60_000], [b"\xb2"], [b"500", b"500"], [b"500, 500"]),
    ],
)
def test_whatever_else_is_refused_in_a_sentence(values: list[bytes]) -> None:
    sent = request(b"", b"", headers=[(NAME, value) for value in values])
    with pytest.raises(RequestRefused, match=f"{HEADER} is no whole number") as refused:
        ms_told(sent)
    assert refused.value.error_code == 400


VALUES = st.binary(max_size=12) | st.from_regex(rb"[0-9 ,+-]{0,10}")


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_only_a_number_in_bounds_is_taken(values: list[bytes]) -> None:
    with contextlib.suppress(RequestRefused):
        told = ms_told(request(b"", b"", headers=[(NAME, value) for value in values]))
        assert 1 <= told <= MOST_MS
        assert [int(value) for value in values] == [told]


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [
        (2, 1900, 2000),
        (0, 1, 1),
        (-5, 1, 1),
        (1e300, MOST_MS, MOST_MS),
        (math.inf, MOST_MS, MOST_MS),
    ],
)
def test_what_is_left_is_told_so_that_it_can_be_read(seconds: float, least: int, most: int) -> None:
    async def run() -> int:
        return ms_until(asyncio.get_running_loop().time() + seconds)

    assert least <= asyncio.run(run()) <= most
