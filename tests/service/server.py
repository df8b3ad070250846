"""The real service in its own processes, for the tests that speak HTTP with it."""

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
import psutil

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "plantood" / "model" / "starter" / "samples"
START_SECONDS = 90


@dataclass
class Server:
    url: str
    log: Path
    supervisor: psutil.Process

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def workers(self, service: str) -> list[psutil.Process]:
        """The processes of one of the two services."""
        return [
            child
            for child in self.supervisor.children(recursive=True)
            if service in child.cmdline()
        ]

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

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.supervisor.is_running(), self.output
            assert self.supervisor.status() != psutil.STATUS_ZOMBIE, self.output
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready after {seconds} s:\n{self.output}")


def launch(
    command: list[str], *, cwd: Path, environment: dict[str, str], log: Path
) -> tuple[subprocess.Popen, Server]:
    """Start a command that serves, told a free port; it is not ready yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*command, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    return process, Server(f"http://127.0.0.1:{port}", log, psutil.Process(process.pid))


def start(
    home: Path, target: str = "service:PlantGate", **settings: str
) -> tuple[subprocess.Popen, Server]:
    """Start `bentoml serve`; it is not ready yet."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PLANTOOD_", "BENTOML"))
    }
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", **settings}
    command = [sys.executable, "-m", "bentoml", "serve", target]
    log = home / f"serve-{time.monotonic_ns()}.log"
    return launch(command, cwd=ROOT, environment=environment, log=log)


@contextlib.contextmanager
def running(process: subprocess.Popen, server: Server) -> Iterator[Server]:
    """Stop what was started, with all of its processes, at the end of the block."""
    try:
        yield server
    finally:
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):  # a test may have stopped it
            children = server.supervisor.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        _, alive = psutil.wait_procs(children, timeout=5)
        for child in alive:
            child.kill()


@contextlib.contextmanager
def serving(home: Path, target: str = "service:PlantGate", **settings: str) -> Iterator[Server]:
    """A service that is ready, stopped afterwards."""
    with running(*start(home, target, **settings)) as server:
        server.wait_until_ready()
        yield server
