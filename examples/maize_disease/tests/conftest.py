from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from plantood import load_image, to_model_input

PROJECT = Path(__file__).parents[1]
PHOTOS = PROJECT / "photos"
DISEASES = ("common_rust", "gray_leaf_spot", "healthy", "northern_leaf_blight")


@dataclass
class Server:
    """The service in its own processes, as ``bentoml serve`` starts it."""

    url: str
    log: Path
    supervisor: psutil.Process

    def post(self, path: str, *names: str, field: str = "photo") -> httpx.Response:
        """Post sample photos as a form."""
        files = [(field, (PHOTOS / f"{name}.jpg").read_bytes()) for name in names]
        return httpx.post(f"{self.url}{path}", files=files, timeout=60)

    def scorer(self) -> psutil.Process:
        """The process of the gate's network."""
        children = self.supervisor.children(recursive=True)
        return next(child for child in children if "PlantScorer" in child.cmdline())

    def wait_until_ready(self, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready after {seconds} s:\n{self.log.read_text()}")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables with a Bento store of their own, which holds the detector."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLANTOOD_", "BENTO"))}
    home = tmp_path_factory.mktemp("bentoml")
    variables = kept | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "store_model.py"]
    subprocess.run(command, cwd=PROJECT, env=variables, check=True)
    return variables


@pytest.fixture(scope="session")
def server(environment: dict[str, str]) -> Iterator[Server]:
    """The service; where the gate is down it asks for the photo once more, after two seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Path(environment["BENTOML_HOME"], "serve.log")
    settings = {"PLANTOOD_ON_GATE_ERROR": "retake", "PLANTOOD_GATE_TIMEOUT_S": "2"}
    command = [sys.executable, "-m", "bentoml", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment | settings, stdout=output, stderr=output
        )
    server = Server(f"http://127.0.0.1:{port}", log, psutil.Process(process.pid))
    try:
        server.wait_until_ready()
        yield server
    finally:
        children = server.supervisor.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        _, alive = psutil.wait_procs([server.supervisor, *children], timeout=5)
        for survivor in alive:
            survivor.kill()


@pytest.fixture(scope="session")
def leaves() -> dict[str, NDArray[np.uint8]]:
    """The sample leaves by disease, uint8 ``[224, 224, 3]``, as the detector gets them."""
    return {name: to_model_input(load_image(PHOTOS / f"{name}.jpg")) for name in DISEASES}
