"""What PromQL expressions ask for, and a real Prometheus to ask."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.service.server import ROOT, free_ports

MONITORING = ROOT / "deploy" / "monitoring"
Series = dict[str, list[dict[str, str]]]
"""The label sets of every metric, by its name."""


@dataclass
class Selector:
    """One metric that an expression reads."""

    name: str
    equal: dict[str, str] = field(default_factory=dict)
    """Labels that must have this value."""
    labels: set[str] = field(default_factory=set)
    """Labels that are compared in any way."""


def selectors(expression: str) -> list[Selector]:
    """The metrics that an expression reads."""
    found: list[Selector] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            matchers = node.matchers.matchers
            equal = {m.name: m.value for m in matchers if m.op == promql.MatchOp.Equal}
            found.append(Selector(node.name, equal, {matcher.name for matcher in matchers}))

    promql.walk(promql.parse(expression), visit)
    return found


def grouped_by(expression: str) -> set[str]:
    """The labels that an expression's sums are taken by."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)

    promql.walk(promql.parse(expression), visit)
    return found


def exported(text: str) -> Series:
    """What a service's `/metrics` has."""
    series: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series.setdefault(sample.name, []).append(dict(sample.labels))
    return series


def rules() -> list[dict[str, Any]]:
    """Every rule that records or alerts."""
    return [rule for group in rule_file()["groups"] for rule in group["rules"]]


def rule_file() -> dict[str, Any]:
    """The rules as Prometheus itself reads them."""
    return yaml.safe_load((MONITORING / "prometheus-rules.yaml").read_text())["spec"]


def dashboard() -> dict[str, Any]:
    """The Grafana dashboard."""
    return json.loads((MONITORING / "dashboard.json").read_text())


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, without the rows that separate them."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def filled_in(expression: str, namespace: str = "farm", interval: str = "5s") -> str:
    """A panel's expression as Grafana sends it."""
    return expression.replace("$namespace", namespace).replace("$__rate_interval", interval)


def tool(name: str) -> str:
    """A program of Prometheus's Debian package."""
    return shutil.which(name) or pytest.skip(f"there is no {name} (Debian: prometheus)")


@contextlib.contextmanager
def scraping(target: str, work: Path, labels: dict[str, str]) -> Iterator[httpx.Client]:
    """A Prometheus that reads a pod's metrics twice a second, with the alert rules."""
    (work / "rules.yaml").write_text(yaml.safe_dump(rule_file()))
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [_scrape(target, labels)],
    }
    (work / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [tool("prometheus"), f"--config.file={work / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={work / 'data'}", f"--web.listen-address={address}"]
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", timeout=30) as client:
            _wait(client, process, work / "log")
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _scrape(target: str, labels: dict[str, str]) -> dict[str, Any]:
    """What the Prometheus operator makes of the PodMonitor for one pod."""
    monitor = yaml.safe_load((MONITORING / "pod-monitor.yaml").read_text())
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    return {
        "job_name": "plantood",
        "metrics_path": endpoint["path"],
        "static_configs": [
            {"targets": [target], "labels": labels | {"endpoint": endpoint["port"]}}
        ],
        "relabel_configs": endpoint["relabelings"],
    }


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if client.get("/query", params={"query": "vector(1)"}).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
