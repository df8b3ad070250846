"""Start a service in its own process tree, time its first answer, and watch its memory."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

SERVE = (sys.executable, "-m", "bentoml", "serve")
START = (sys.executable, "-m", "bentoml_cli._internal.start", "start-http-server")
"""What the entrypoint of a bento's image makes of ``start-http-server``: a service on its own."""


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree_memory(pid: int) -> int:
    """Proportional set size of a process and its descendants in bytes.

    Pages that the processes share are counted once, unlike in a sum of resident sizes.
    """
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total


@dataclass
class RunningService:
    """A service under measurement."""

    root: str
    """Its address, without a path."""
    pid: int
    seconds_to_first_verdict: float
    peak_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where a gate takes photos."""
        return f"{self.root}/check"

    def watch(self) -> None:
        """Record the largest memory seen until the service is stopped."""
        while not self._stop.wait(0.2):
            self.peak_bytes = max(self.peak_bytes, tree_memory(self.pid))


@contextlib.contextmanager
def serve(
    target: str,
    photo: bytes | None,
    env: Mapping[str, str],
    log: Path,
    *,
    command: Sequence[str] = SERVE,
    timeout: float = 180,
) -> Iterator[RunningService]:
    """Run `bentoml serve TARGET` until the block ends; yields once a photo was judged.

    Args:
        target: What is served.
        photo: To be judged; None if the service judges none, which is asked whether it is ready.
        env: Environment variables beside those that there are.
        log: File that takes what it prints.
        command: What serves, before the target.
        timeout: Seconds until it must have answered.

    Raises:
        TimeoutError: no verdict within `timeout` seconds; the message names the log.
    """
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, target, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if _answer(root, photo).status_code == 200:
                    break
            if process.poll() is not None or time.perf_counter() - started > timeout:
                raise TimeoutError(f"{target} gave no verdict within {timeout:.0f} s, see {log}")
            time.sleep(0.05)
        service = RunningService(root, process.pid, time.perf_counter() - started)
        watcher = threading.Thread(target=service.watch, daemon=True)
        watcher.start()
        yield service
        service._stop.set()
        watcher.join()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answer(root: str, photo: bytes | None) -> httpx.Response:
    """Of the gate to a photo, or of a service without photos to the probe of its readiness."""
    if photo is None:
        return httpx.get(f"{root}/readyz", timeout=60)
    return httpx.post(f"{root}/check", files={"image": ("a.jpg", photo, "image/jpeg")}, timeout=60)
