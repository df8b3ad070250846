"""The gate's own metrics, beside BentoML's, on ``/metrics``.

BentoML runs every worker as a process of its own and lets ``prometheus_client`` share the values
through files (its multiprocess mode), so counters and histograms are sums over all workers.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from plantood.bentoml_private import count_in, metrics_folder
from plantood.errors import SettingsError
from plantood.model.entry import GateModel
from plantood.settings import variable
from plantood.verdict import ReasonCode, Verdict

NO_REASON = "none"

VERDICTS = Counter(
    "plantood_verdicts_total",
    "Photos judged. A retake is counted once, under its first reason; an accept under `none`.",
    ["verdict", "reason"],
)
PLANT_PROBABILITY = Histogram(
    "plantood_plant_probability",
    "P(plant) of the photos that the network saw.",
    buckets=[step / 20 for step in range(1, 21)],
)
STAGE_SECONDS = Histogram(
    "plantood_stage_seconds",
    "Seconds that a photo spent in each stage: wait for a decoding thread, decode, quality, and "
    "score, from handing the pixels to the scorer until its answer.",
    ["stage"],
    buckets=[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
)
SCORER_ERRORS = Counter(
    "plantood_scorer_errors_total",
    "Photos that could not be judged because the scorer was gone, too slow or overloaded.",
)
GATE_ERRORS = Counter(
    "plantood_gate_errors_total",
    "Photos that the gate in front of this service could not judge: how it failed, and what the "
    "service made of it (`on_gate_error`).",
    ["kind", "outcome"],
)
CAPTURED = Counter(
    "plantood_captured_total",
    "Photos to be kept for mining, by what became of them: `kept`, `over_cap`, `dropped` (the "
    "destination is too slow), `failed`.",
    ["outcome"],
)
GATE_INFO = Gauge(
    "plantood_gate_info",
    "Always 1; the labels say which gate model judges.",
    ["model", "backbone", "head"],
    multiprocess_mode="max",
)
METRICS: tuple[MetricWrapperBase, ...] = (
    VERDICTS,
    PLANT_PROBABILITY,
    STAGE_SECONDS,
    SCORER_ERRORS,
    CAPTURED,
    GATE_INFO,
)
"""Of every process that judges."""

COMPOSED_METRICS: tuple[MetricWrapperBase, ...] = (GATE_ERRORS,)
"""Of a service with the gate in front."""


def announce(gate: GateModel) -> None:
    """Say which gate model judges, and start every verdict's count at zero.

    Without the zeros the first refusal of a kind would be invisible to ``rate()``.
    """
    about = gate.manifest
    GATE_INFO.labels(model=gate.tag, backbone=about.backbone, head=about.head).set(1)
    VERDICTS.labels(verdict="accept", reason=NO_REASON)
    for code in set(ReasonCode) - {ReasonCode.GATE_UNAVAILABLE}:  # no photo was judged so
        VERDICTS.labels(verdict="retake", reason=code.value)


def observe(verdict: Verdict) -> None:
    """Count one verdict."""
    reason = str(verdict.reasons[0].code) if verdict.reasons else NO_REASON
    VERDICTS.labels(verdict=verdict.verdict, reason=reason).inc()
    if verdict.plant_probability is not None:
        PLANT_PROBABILITY.observe(verdict.plant_probability)
    for stage, milliseconds in verdict.timings_ms.items():
        STAGE_SECONDS.labels(stage=stage).observe(milliseconds / 1000)


def keep_apart() -> None:
    """Give this server a folder of its own for what its processes count.

    BentoML has one for all servers of a `BENTOML_HOME`, and empties it whenever one is started,
    also if it then does not start. To be called before that, where its command imports a service.
    """
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # a worker, or somebody's choice
        return
    folder = metrics_folder()
    for left in folder.parent.glob(f"{folder.name}-*"):
        pid = left.name.rpartition("-")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    count_in(folder.with_name(f"{folder.name}-{os.getpid()}"))


def serve(port: int) -> None:
    """Answer ``GET /metrics`` on a port of its own, for all processes of this server.

    Raises:
        SettingsError: The port is taken, be it by the service itself, or not for this user.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # not annotated
    with _free(port):
        start_http_server(port, registry=registry)


def ensure_free(port: int) -> None:
    """Find out before any process starts whether metrics can be answered on a port.

    Raises:
        SettingsError: It is taken, or not for this user.
    """
    with _free(port), socket.create_server(("", port)):
        pass


@contextmanager
def _free(port: int) -> Iterator[None]:
    """Let what is wrong with a port be said in a sentence that names the setting.

    Raises:
        SettingsError: It is taken, or not for this user.
    """
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error  # strerror has the address, too
        raise SettingsError(
            f"{variable('metrics_port')}={port} cannot be listened on ({why}); "
            "name a port that is free."
        ) from error


def forget_dead_processes() -> None:
    """Take gauges of living processes out of the sums that a killed process has left there.

    A process that ends by itself does so; one that was killed leaves its requests in progress
    standing for ever.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            mark_process_dead(int(pid), folder)  # type: ignore[no-untyped-call]  # not annotated
