"""Whether a service that is probed as Kubernetes does it leaks sockets or memory.

    python -m benchmarks.probes --write docs/containers.md

Starts the real service, asks ``/readyz`` and ``/livez`` once a second each on new connections, as
the kubelet does, and follows file descriptors, sockets and private memory of every process of the
service. The exit status is 1 if any of them grows.

BentoML keeps a timer of about 1 kB for every request until the service's timeout has passed, also
for one that was answered long ago. So memory first grows until as many are added as run out: what
is before that does not count.
"""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import click
import numpy as np
import psutil

from benchmarks.processes import serve
from benchmarks.shown import typed
from plantood.settings import Settings
from plantood.training.common.tables import markdown, write_between_markers

PROBES = ("/readyz", "/livez")
SAMPLES = Path(__file__).parents[1] / "plantood" / "model" / "starter" / "samples"

MOST_SOCKETS = 4
"""Sockets that a process may have more at the end than at the start: idle connections come and go.
A probe that leaks one adds hundreds in ten minutes."""

MOST_MEMORY = 8e6
"""Bytes of private memory that a process may have more; allocators keep some of what is freed."""


@dataclass(frozen=True)
class Series:
    """One process over time, float64 ``[T]`` each."""

    name: str
    seconds: np.ndarray
    descriptors: np.ndarray
    sockets: np.ndarray
    memory: np.ndarray
    """Private bytes (unique set size)."""

    def growth(self, values: np.ndarray) -> float:
        """Growth from start to end, by the median of the first and of the last quarter."""
        quarter = max(len(values) // 4, 1)
        return float(np.median(values[-quarter:]) - np.median(values[:quarter]))

    def slope(self, values: np.ndarray) -> float:
        """Growth an hour, by the least-squares line; nan with fewer than two samples."""
        if len(values) < 2:
            return float("nan")
        return float(np.polyfit(self.seconds, values, 1)[0] * 3600)

    @property
    def leaks(self) -> bool:
        """True if sockets, other descriptors or memory have grown beyond what is idle noise."""
        return (
            max(self.growth(self.sockets), self.growth(self.descriptors)) > MOST_SOCKETS
            or self.growth(self.memory) > MOST_MEMORY
        )


def probe(url: str, seconds: float, interval: float, statuses: Counter[str]) -> None:
    """Ask every probe once an interval, each on a connection of its own, and count the answers."""
    address = urlsplit(url)
    deadline = time.monotonic() + seconds
    due = time.monotonic()
    while due < deadline:
        for path in PROBES:
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
            try:
                connection.request("GET", path)
                statuses[f"{path} {connection.getresponse().status}"] += 1
            except OSError as error:
                statuses[f"{path} {type(error).__name__}"] += 1
            finally:
                connection.close()
        due += interval
        time.sleep(max(due - time.monotonic(), 0))


def measure(
    pid: int,
    url: str,
    seconds: float,
    *,
    settle: float = 0.0,
    interval: float = 1.0,
    every: float = 5.0,
) -> tuple[list[Series], Counter[str]]:
    """Probe a running service and follow its processes.

    Args:
        pid: Its supervisor's process.
        url: Where it answers.
        seconds: For how long.
        settle: Seconds of probing before that, which do not count.
        interval: Seconds from one round of probes to the next.
        every: Seconds from one sample to the next.

    Returns:
        One series for each process that lived all the time, and how often each answer came.
    """
    statuses: Counter[str] = Counter()
    prober = threading.Thread(target=probe, args=(url, settle + seconds, interval, statuses))
    prober.start()
    prober.join(settle)
    samples: dict[tuple[int, str], list[tuple[float, ...]]] = defaultdict(list)
    started = time.monotonic()
    rounds = 0
    while prober.is_alive():
        rounds += 1
        supervisor = psutil.Process(pid)
        for process in [supervisor, *supervisor.children(recursive=True)]:
            with contextlib.suppress(psutil.Error, OSError):
                key = (process.pid, _name(process, supervisor))
                samples[key].append((time.monotonic() - started, *_sample(process)))
        prober.join(every)
    whole = {key: rows for key, rows in samples.items() if len(rows) == rounds}
    return [Series(name, *np.array(rows).T) for (_, name), rows in whole.items()], statuses


def _sample(process: psutil.Process) -> tuple[int, int, int]:
    """Descriptors, sockets and private bytes."""
    sockets = 0
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            sockets += str(link.readlink()).startswith("socket:")
    return process.num_fds(), sockets, process.memory_full_info().uss


def _name(process: psutil.Process, supervisor: psutil.Process) -> str:
    command = process.cmdline()
    if "--service-name" in command:
        return command[command.index("--service-name") + 1]
    return "supervisor" if process == supervisor else process.name()


def table(series: list[Series]) -> str:
    """The series as Markdown: start, end and growth an hour."""
    header = ["process"]
    for what in ("sockets", "descriptors", "private MB"):
        header += [f"{what}: start", "end", "an hour"]
    rows = []
    for one in series:
        row = [one.name]
        for values in (one.sockets, one.descriptors):
            row += [f"{values[0]:.0f}", f"{values[-1]:.0f}", f"{one.slope(values):+.1f}"]
        memory = one.memory / 1e6
        row += [f"{memory[0]:.1f}", f"{memory[-1]:.1f}", f"{one.slope(memory):+.1f}"]
        rows.append(row)
    return markdown(header, rows)


@click.command(help=__doc__)
@click.option("--seconds", default=600.0, show_default=True, help="For how long to follow them.")
@click.option(
    "--settle", default=Settings().timeout_s + 30.0, show_default=True, help="Seconds before that."
)
@click.option("--interval", default=1.0, show_default=True, help="Seconds between two probes.")
@click.option("--every", default=5.0, show_default=True, help="Seconds between two samples.")
@click.option(
    "--target", default="plantood.service:PlantGate", show_default=True, help="For bentoml serve."
)
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(
    *,
    seconds: float,
    settle: float,
    interval: float,
    every: float,
    target: str,
    write: Path | None,
) -> None:
    """Serve, probe, print the table, and write it between its markers."""
    photo = (SAMPLES / "maize_leaf.jpg").read_bytes()
    with tempfile.TemporaryDirectory() as temporary:
        environment = {
            "BENTOML_HOME": str(Path(temporary) / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "true",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        with serve(target, photo, environment, Path(temporary) / "serve.log") as service:
            series, statuses = measure(
                service.pid,
                service.root,
                seconds,
                settle=settle,
                interval=interval,
                every=every,
            )
    healthy = {f"{path} {HTTPStatus.OK.value}" for path in PROBES}
    text = (
        f"{typed(__spec__.name)}\n\n"
        f"{seconds:.0f} s after {settle:.0f} s, {sum(statuses.values())} probes, answers: "
        + ", ".join(f"`{answer}` {count} times" for answer, count in sorted(statuses.items()))
        + f".\n\n{table(series)}\n"
    )
    click.echo(text)
    if write:
        write_between_markers(write, "probes", text)
    if any(one.leaks for one in series) or set(statuses) != healthy or len(series) < 3:
        raise click.ClickException("something grows, or a probe was not answered with 200")


if __name__ == "__main__":
    main()
