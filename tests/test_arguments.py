from __future__ import annotations

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from plantood import Gate
from plantood.arguments import ensure_count, ensure_seconds, ensure_status_of_refusals
from plantood.compose import ComposedGate, RemoteGate, gated
from plantood.errors import SettingsError

URL = "http://gate:3000"
NO_TIMES = [0, -1, math.nan, math.inf, "5", True]
NO_COUNTS = [-1, 1.5, math.nan, "2", None, True]
NO_REFUSALS = [100, 201, 204, 302, 399, 499, 600, 700, 200.0, "409", True]


def decorated(**arguments: Any) -> Any:
    def diagnose(self: object, image: bytes) -> dict[str, str]: ...

    return gated(**arguments)(diagnose)


def composed(**arguments: Any) -> Any:
    return ComposedGate(RemoteGate(URL), **arguments)


def remote(**arguments: Any) -> Any:
    return RemoteGate(URL, **arguments)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *((make, "timeout_s", time) for make in (decorated, composed, remote) for time in NO_TIMES),
        *((remote, "retries", count) for count in NO_COUNTS),
        *((decorated, "retake_status", status) for status in NO_REFUSALS),
        *((Gate.load, "threads", count) for count in (0, -1, 1.5)),
    ],
)
def test_what_cannot_be_used_is_refused_where_it_is_handed_over(
    make: Callable[..., Any], name: str, value: Any
) -> None:
    with pytest.raises(SettingsError) as caught:
        make(**{name: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"{name}={value!r} cannot be used; allowed is ")
    assert "\n" not in sentence


def test_what_is_written_above_a_method_is_refused_before_the_method_is_seen() -> None:
    with pytest.raises(SettingsError, match="timeout_s=-1"):
        gated(timeout_s=-1)


def test_all_else_is_taken() -> None:
    for time in (None, 0.001, 5, 5.0, np.float32(2)):
        ensure_seconds("timeout_s", time)
    for count in (0, 1, np.int64(2)):
        ensure_count("retries", count, least=0)
    for status in (None, 200, 409, 422, 503, HTTPStatus.CONFLICT):
        ensure_status_of_refusals("retake_status", status)
    assert RemoteGate(URL).timeout_s == composed().timeout_s == 20
    assert (remote(timeout_s=0.5).timeout_s, composed(timeout_s=0.5).timeout_s) == (0.5, 0.5)
