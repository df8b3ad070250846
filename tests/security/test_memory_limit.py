"""No request, and no two at once, take more memory than the manifests give the container."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
import yaml

from tests.security import payloads
from tests.security.attacks import HEAVY_FILES, PLANT, in_the_background
from tests.security.cgroup import MemoryLimit
from tests.security.conftest import MANIFEST_SETTINGS
from tests.service.server import GATE, ROOT, Server, environment, launch

DEPLOYMENT = ROOT / "deploy" / "kubernetes" / "base" / "deployment.yaml"
MEBIBYTE = 1 << 20


@dataclass
class Limited:
    server: Server
    limit: MemoryLimit
    bytes: int


def _limit_of_the_manifest() -> int:
    (container,) = yaml.safe_load(DEPLOYMENT.read_text())["spec"]["template"]["spec"]["containers"]
    value = container["resources"]["limits"]["memory"]
    assert value.endswith("Mi"), value
    return int(value.removesuffix("Mi")) * MEBIBYTE


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    size = _limit_of_the_manifest()
    try:
        limit = MemoryLimit(size)
    except OSError as error:
        pytest.skip(f"no memory limit can be set here: {error}")

    home = tmp_path_factory.mktemp("limited")
    variables = environment(home, BENTOML_CONFIG=str(MANIFEST_SETTINGS))
    command = limit.command([sys.executable, "-m", "bentoml", "serve", GATE])
    try:
        with launch(command, folder=ROOT, environment=variables, log=home / "serve.log") as server:
            server.wait_until_ready()
            yield Limited(server, limit, size)
    finally:
        limit.close()


def _batch(photo: bytes) -> dict[str, object]:
    return {"files": [("images", ("photo", photo, "image/jpeg"))] * 16}


PADDED = PLANT + bytes(19 * MEBIBYTE)


def _requests() -> dict[str, tuple[str, dict[str, object]]]:
    """The heaviest that the limits let through: path, and the body as httpx takes it."""
    one = {name: ("check", {"content": make()}) for name, make in HEAVY_FILES.items()}
    webp = payloads.flat("WEBP", 4800, 4600, method=0)
    return one | {
        "JPEG 110 MP": ("check", {"content": payloads.flat("JPEG", 11_000, 10_000, quality=5)}),
        "JPEG 60 MP, progressive, 4:4:4": (
            "check",
            {"content": payloads.flat("JPEG", 8000, 7500, progressive=True, subsampling=0)},
        ),
        "16 photos of 19 MB": ("check_batch", _batch(PADDED)),
        "16 WebP of 22 MP": ("check_batch", _batch(webp)),
    }


def test_it_stays_below_the_limit_of_the_manifest(limited: Limited) -> None:
    requests = _requests()
    most = 0

    def watch(stop: threading.Event) -> None:
        nonlocal most
        while not stop.wait(0.01):
            most = max(most, limited.limit.in_use)

    def send(name: str) -> int:
        path, body = requests[name]
        answer = httpx.post(f"{limited.server.url}/{path}", timeout=120, **body)
        return answer.status_code

    workers = limited.server.workers("PlantGate") + limited.server.workers("PlantScorer")
    heaviest = ["WebP 22 MP", "PNG 90 MP", "JPEG 60 MP, progressive, 4:4:4", "16 WebP of 22 MP"]
    pairs = [(name, name) for name in requests] + list(itertools.combinations(heaviest, 2))
    with in_the_background(watch), ThreadPoolExecutor(2) as pool:
        for pair in pairs:
            statuses = list(pool.map(send, pair))
            assert set(statuses) <= {200, 413, 429}, (pair, statuses)
            assert limited.limit.killed == 0, pair
    assert all(process.is_running() for process in workers)
    print(f"at most {most / MEBIBYTE:.0f} of {limited.bytes / MEBIBYTE:.0f} MB")
    assert most < 0.8 * limited.bytes
