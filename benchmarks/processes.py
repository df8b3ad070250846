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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil


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

    url: str
    pid: int
    seconds_to_first_verdict: float
    peak_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Record the largest memory seen until the service is stopped."""
        while not self._stop.wait(0.25):
            self.peak_bytes = max(self.peak_bytes, tree_memory(self.pid))


@contextlib.contextmanager
def serve(
    target: str, photo: bytes, env: Mapping[str, str], log: Path, timeout: float = 180
) -> Iterator[RunningService]:
    """Run `bentoml serve TARGET` until the block ends; yields once a photo was judged.

    Raises:
        TimeoutError: no verdict within `timeout` seconds; the message names the log.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/check"
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bentoml", "serve", target),
                *("--host", "127.0.0.1", "--port", str(port)),
            ],
            env={**os.environ, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.post(
                    url, files={"image": ("a.jpg", photo, "image/jpeg")}, timeout=60
                )
                if answer.status_code == 200:
                    break
            if process.poll() is not None or time.perf_counter() - started > timeout:
                raise TimeoutError(f"{target} gave no verdict within {timeout:.0f} s, see {log}")
            time.sleep(0.05)
        service = RunningService(url, process.pid, time.perf_counter() - started)
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
