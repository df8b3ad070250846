"""Ten minutes of Kubernetes' probes, shortened; `python -m benchmarks.probes` is the whole."""

from __future__ import annotations

import socket
from dataclasses import replace

import numpy as np
import psutil
import pytest

from benchmarks.probes import MOST_MEMORY, Series, _sample, measure, table
from tests.service.server import serving

SECONDS = np.arange(0.0, 600, 5)
STEADY = Series(
    "PlantGate",
    SECONDS,
    np.full(120, 30.0),
    np.tile([12.0, 14.0], 60),  # idle connections come and go
    np.full(120, 2e8) + np.tile([0.0, 1e6], 60),
)


@pytest.mark.parametrize(
    ("leak", "leaks"),
    [
        ({}, False),
        ({"sockets": 12 + SECONDS / 10}, True),
        ({"descriptors": 30 + SECONDS / 10}, True),
        ({"memory": 2e8 + SECONDS / 600 * 3 * MOST_MEMORY}, True),
        ({"memory": 2e8 - SECONDS * 1e4}, False),
    ],
)
def test_a_leak_is_recognised(leak: dict[str, np.ndarray], leaks: bool) -> None:
    series = replace(STEADY, **leak)
    assert series.leaks == leaks
    assert table([series]).count("PlantGate") == 1


def test_the_slope_is_an_hour_s_growth() -> None:
    assert STEADY.slope(12 + SECONDS / 10) == pytest.approx(360)


def test_sockets_and_descriptors_are_counted() -> None:
    process = psutil.Process()
    descriptors, sockets, memory = _sample(process)
    opened = [socket.socket() for _ in range(3)]
    assert _sample(process)[:2] == (descriptors + 3, sockets + 3)
    assert memory > 1e6
    for one in opened:
        one.close()


def test_three_hundred_rounds_of_probes_leak_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("probed")
    with serving(home, PLANTOOD_TIMEOUT_S="2") as server:
        series, statuses = measure(
            server.supervisor.pid, server.url, 15, settle=4, interval=0.05, every=0.5
        )
    assert {one.name for one in series} == {"supervisor", "PlantScorer", "PlantGate"}
    assert set(statuses) == {"/readyz 200", "/livez 200"}
    assert sum(statuses.values()) > 100  # as many as a loaded machine manages
    assert not [one for one in series if one.leaks], table(series)
