"""The real review server in its own process."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
START_SECONDS = 90


@dataclass
class ReviewServer:
    round: Path
    urls: list[str]
    process: subprocess.Popen
    log: Path

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)/", self.url).group(1))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


def start(round_: Path, *options: str, port: int = 0, **environment: str) -> ReviewServer:
    """Start `plantood review`, and wait until it has printed its addresses."""
    log = round_.parent / f"{round_.name}-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "plantood", "review", str(round_), "--no-browser"]
    clean = {k: v for k, v in os.environ.items() if k != "PLANTOOD_REVIEW_TOKEN"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), *options],
            cwd=ROOT,
            env=clean | environment | {"PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C" not in (said := log.read_text()):
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    return ReviewServer(round_, re.findall(r"^http\S+", said, re.MULTILINE), process, log)


@contextlib.contextmanager
def reviewing(round_: Path, *options: str, **environment: str) -> Iterator[ReviewServer]:
    """A server that is stopped afterwards."""
    server = start(round_, *options, **environment)
    try:
        yield server
    finally:
        server.kill()
