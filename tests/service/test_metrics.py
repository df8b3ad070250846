from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from plantood.judging.prometheus import METRICS
from tests.service.server import SAMPLES, Server, free_ports, serving, start


def _key(name: str, **labels: str) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


@pytest.mark.parametrize(
    ("photo", "verdict", "reason", "stages"),
    [
        ("maize_leaf", "accept", "none", {"wait", "decode", "quality", "score"}),
        ("bare_soil", "retake", "not_a_plant", {"wait", "decode", "quality", "score"}),
        ("pocket", "retake", "too_dark", {"wait", "decode", "quality"}),
        ("broken_upload", "retake", "unreadable", {"wait", "decode"}),
    ],
)
def test_a_verdict_is_counted_once_with_its_stages(
    server: Server, http: httpx.Client, photo: str, verdict: str, reason: str, stages: set[str]
) -> None:
    before = server.metrics()
    http.post("/check", content=(SAMPLES / f"{photo}.jpg").read_bytes()).raise_for_status()
    after = server.metrics()

    def grown(name: str) -> dict[str, float]:
        return {
            key: value - before.get(key, 0)
            for key, value in after.items()
            if key.startswith(name) and value != before.get(key, 0)
        }

    counted = _key("plantood_verdicts_total", verdict=verdict, reason=reason)
    assert grown("plantood_verdicts_total") == {counted: 1}
    assert grown("plantood_stage_seconds_count") == {
        _key("plantood_stage_seconds_count", stage=stage): 1 for stage in stages
    }
    scored = {"plantood_plant_probability_count": 1} if "score" in stages else {}
    assert grown("plantood_plant_probability_count") == scored


def test_every_reason_is_there_from_the_start_and_the_gate_is_named(server: Server) -> None:
    metrics = server.metrics()
    for reason in ("too_small", "too_bright", "too_blurry", "not_a_plant"):
        assert _key("plantood_verdicts_total", verdict="retake", reason=reason) in metrics
    named = [key for key in metrics if key.startswith("plantood_gate_info{")]
    assert len(named) == 1
    assert 'model="plantood-gate:starter"' in named[0]


def test_every_metric_of_the_module_is_exported(http: httpx.Client) -> None:
    text = http.get("/metrics").text
    for metric in METRICS:
        (family,) = metric.describe()
        total = "_total" if family.type == "counter" else ""
        assert f"# TYPE {family.name}{total} {family.type}\n" in text


def test_metrics_on_a_port_of_their_own_are_nowhere_else(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with serving(tmp_path, PLANTOOD_METRICS_PORT=str(port), PLANTOOD_WORKERS="2") as server:
        httpx.post(f"{server.url}/check", content=(SAMPLES / "bare_soil.jpg").read_bytes())
        apart = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'plantood_verdicts_total{reason="not_a_plant",verdict="retake"} 1.0' in apart
        assert "bentoml_service_request_total" in apart
        assert httpx.get(f"{server.url}/metrics").status_code == 404


def test_a_port_for_metrics_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with start(tmp_path, PLANTOOD_METRICS_PORT=str(port)) as server:
            assert server.supervisor.wait(60) != 0
    assert f"PLANTOOD_METRICS_PORT={port} cannot be listened on" in server.output
    assert "Traceback" not in server.output


def test_the_service_s_own_port_for_metrics_stops_the_start(tmp_path: Path) -> None:
    """It is free when that is looked at, and taken when the worker starts."""
    (port,) = free_ports(1)
    with start(tmp_path, port=port, PLANTOOD_METRICS_PORT=str(port)) as server:
        assert server.supervisor.wait(60) == 1
    assert server.output.count(f"PLANTOOD_METRICS_PORT={port} cannot be listened on") == 1
    assert "Traceback" not in server.output
