from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.service.server import SAMPLES, Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service as it starts on a fresh machine: an empty store, nothing set."""
    with serving(tmp_path_factory.mktemp("bentoml")) as server:
        yield server


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def plant() -> bytes:
    return (SAMPLES / "maize_leaf.jpg").read_bytes()


@pytest.fixture(scope="session")
def soil() -> bytes:
    return (SAMPLES / "bare_soil.jpg").read_bytes()
