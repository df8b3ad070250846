"""One image as a running container: non-root, no capabilities, its root file system read-only."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from deploy.container.buildah import Buildah, ContainerError

START_SECONDS = 120
STOP_SECONDS = 40

# buildah has no switch for a read-only root. Its folder is made one for this process and its
# children alone; the file is one that buildah itself creates there.
_READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 90
shift
exec "$@"
"""
# buildah's own exit status is lost with a read-only root (its clean-up fails)
_TELL_STATUS = '"$@"; echo "exit status $?"'


@dataclass(frozen=True)
class Container:
    """A running container."""

    name: str
    image: str
    url: str
    log: Path
    buildah: Buildah
    process: subprocess.Popen[bytes]

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    @property
    def processes(self) -> list[psutil.Process]:
        """The service's processes, its supervisor first: those whose root is the image's."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "/app/.venv/bin/python" in " ".join(process.cmdline()[:1]):
                    found.append(process)
        return found

    def worker(self, service: str) -> psutil.Process | None:
        """The living worker of one of its services."""
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                if service in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    return process
        return None

    def status(self, path: str) -> int:
        """HTTP status of a GET; 0 if nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_for(self, path: str, status: int, seconds: float) -> float:
        """Seconds until a GET has this status.

        Raises:
            ContainerError: It has not within ``seconds``; with the log.
        """
        started = time.monotonic()
        while (got := self.status(path)) != status:
            if self.process.poll() is not None or time.monotonic() - started > seconds:
                raise ContainerError(
                    f"{path} of {self.image} answered {got} instead of {status} after "
                    f"{time.monotonic() - started:.0f} s:\n{self.output[-4000:]}"
                )
            time.sleep(0.1)
        return time.monotonic() - started

    def healthcheck(self) -> int:
        """Run the image's own health check in it; its exit status, 0 if healthy."""
        test = configuration(self.buildah, self.image)["Healthcheck"]["Test"]
        port = self.url.rpartition(":")[2]
        command = ["buildah", "run", "--env", f"PORT={port}", self.name, "--", *test[1:]]
        done = subprocess.run(
            command, env=self.buildah.environment, capture_output=True, check=False
        )
        return done.returncode

    def stop(self) -> tuple[int, float]:
        """SIGTERM to the supervisor, as a container's first process gets it.

        Returns:
            Its exit status, and the seconds until all was gone.

        Raises:
            ContainerError: It was still there after `STOP_SECONDS`.
        """
        started = time.monotonic()
        self.processes[0].send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise ContainerError(f"SIGTERM did not end it:\n{self.output[-4000:]}") from None
        lines = [line for line in self.output.splitlines() if line.startswith("exit status ")]
        if not lines:
            raise ContainerError(f"its exit status is not known:\n{self.output[-4000:]}")
        return int(lines[-1].split()[-1]), time.monotonic() - started


def configuration(buildah: Buildah, image: str) -> dict[str, Any]:
    """What the image says of itself: `User`, `Env`, `Labels`, `Healthcheck`, `Entrypoint`."""
    inspected = json.loads(buildah("inspect", "--type", "image", image))
    return dict(inspected["Docker"]["config"])


@contextlib.contextmanager
def running(buildah: Buildah, image: str, log: Path) -> Iterator[Container]:
    """Start an image's entrypoint, and remove the container at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = buildah("from", image)
    root = Path(buildah("mount", name))
    (root / "run/.containerenv").touch()
    command = ["unshare", "--mount", "bash", "-c", _READ_ONLY, "_", str(root)]
    command += ["buildah", "run", "--mount", "type=tmpfs,destination=/tmp"]
    command += ["--env", f"PORT={port}", name, "--", "bash", "-c", _TELL_STATUS, "_"]
    command += configuration(buildah, image)["Entrypoint"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=buildah.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Container(name, image, f"http://127.0.0.1:{port}", log, buildah, process)
    finally:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()
        for _ in range(20):  # a process that was just killed may still hold it
            with contextlib.suppress(ContainerError):
                buildah("umount", name)
                buildah("rm", name)
                break
            time.sleep(0.5)
