"""The real service in its own processes, for the tests that speak HTTP with it."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "plantood" / "model" / "starter" / "samples"
START_SECONDS = 90
GATE = "service:PlantGate"


@dataclass
class Server:
    url: str
    log: Path
    supervisor: psutil.Process

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as a socket takes them."""
        url = httpx.URL(self.url)
        return url.host, url.port

    def workers(self, service: str) -> list[psutil.Process]:
        """The processes of one of the two services."""
        return [
            child
            for child in self.supervisor.children(recursive=True)
            if service in child.cmdline()
        ]

    @contextlib.contextmanager
    def stuck(self, service: str) -> Iterator[None]:
        """Suspend the processes of one of the services meanwhile."""
        processes = self.workers(service)
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()
            self.wait_until_ready(30)

    def reset_peak_memory(self) -> None:
        for process in self.supervisor.children(recursive=True):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def peak_memory(self, service: str) -> int:
        """Peak resident bytes of a service's largest worker since the reset."""
        peaks = []
        for process in self.workers(service):
            status = Path(f"/proc/{process.pid}/status").read_text()
            line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            peaks.append(int(line.split()[1]) * 1024)
        return max(peaks)

    def metrics(self) -> dict[str, float]:
        """Every sample on /metrics: its name with its labels, and its value."""
        text = httpx.get(f"{self.url}/metrics").raise_for_status().text
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def wait_until_ready(self, seconds: float = START_SECONDS, status: int = 200) -> None:
        """Wait until the probe of its readiness has this answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.supervisor.is_running(), self.output
            assert self.supervisor.status() != psutil.STATUS_ZOMBIE, self.output
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == status:
                    return
            time.sleep(0.1)
        raise AssertionError(f"/readyz is not {status} after {seconds} s:\n{self.output}")


def environment(home: Path, **variables: str) -> dict[str, str]:
    """This environment without anything that leads to the checkout, or to another Bento store."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PLANTOOD_", "BENTO", "PYTHON", "VIRTUAL_ENV"))
        and (name == "PATH" or str(ROOT) not in value)
    }
    kept["PATH"] = os.pathsep.join(
        folder for folder in kept["PATH"].split(os.pathsep) if str(ROOT) not in folder
    )
    return kept | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", **variables}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that BentoML takes meanwhile."""
    ports: list[int] = []
    with contextlib.ExitStack() as taken:
        while len(ports) < count:
            port = random.randrange(10_000, 32_000)
            with contextlib.suppress(OSError):
                taken.enter_context(socket.create_server(("", port)))
                ports.append(port)
    return ports


@contextlib.contextmanager
def launch(
    command: list[str],
    *,
    folder: Path,
    environment: dict[str, str],
    log: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
) -> Iterator[Server]:
    """Start a command that serves, told a free port if none is named; it is not ready yet.

    At the end of the block it is stopped, with all of its processes.
    """
    port = port or free_ports(1)[0]
    command = [*command, "--host", host, "--port", str(port)]
    with log.open("wb") as output:
        process = psutil.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Server(f"http://{f'[{host}]' if ':' in host else host}:{port}", log, process)
    finally:
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):  # a test may have stopped it
            children = process.children(recursive=True)
            process.terminate()
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            process.kill()
        _, alive = psutil.wait_procs(children, timeout=5)
        for child in alive:
            child.kill()


@contextlib.contextmanager
def start(
    home: Path,
    target: str = GATE,
    *,
    folder: Path = ROOT,
    port: int | None = None,
    **settings: str,
) -> Iterator[Server]:
    """`bentoml serve` in a folder, with a Bento store of its own; it is not ready yet."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bentoml", "serve", target]
    log = home / f"serve-{time.monotonic_ns()}.log"
    variables = environment(home, **settings)
    with launch(command, folder=folder, environment=variables, log=log, port=port) as server:
        yield server


@contextlib.contextmanager
def serving(
    home: Path, target: str = GATE, *, folder: Path = ROOT, **settings: str
) -> Iterator[Server]:
    """A service that is ready, stopped afterwards."""
    with start(home, target, folder=folder, **settings) as server:
        server.wait_until_ready()
        yield server
