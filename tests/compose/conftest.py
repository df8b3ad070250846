from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.server import SAMPLES, Server, serving

PHOTOS = ("maize_leaf", "bare_soil", "pocket", "broken_upload")


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gate in a deployment of its own."""
    with serving(tmp_path_factory.mktemp("elsewhere")) as server:
        yield server


@pytest.fixture(scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the detector's processes write temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="session")
def detector(
    tmp_path_factory: pytest.TempPathFactory, elsewhere: Server, temporary: Path
) -> Iterator[Server]:
    """Another team's bento, with the gate inside and elsewhere."""
    home = tmp_path_factory.mktemp("detector")
    settings = {"GATE_URL": elsewhere.url, "TMPDIR": str(temporary)}
    with serving(home, "tests.compose.detectors:Detector", **settings) as server:
        yield server


@pytest.fixture(scope="session")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of BentoML's older kind, with the gate as a runner."""
    home = tmp_path_factory.mktemp("legacy")
    with serving(home, "tests.compose.legacy:service") as server:
        yield server


@pytest.fixture
def http(detector: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=detector.url, timeout=90) as client:
        yield client


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    """Sample photos by name: a plant, soil, one too dark, one that broke off."""
    return {name: (SAMPLES / f"{name}.jpg").read_bytes() for name in PHOTOS}


@pytest.fixture
def plant_path() -> Path:
    return SAMPLES / "maize_leaf.jpg"
