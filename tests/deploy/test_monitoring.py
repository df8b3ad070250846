"""Dashboard and alerts, held to what the running service exports."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from plantood.judging.prometheus import COMPOSED_METRICS, METRICS
from tests.deploy import pod as pods
from tests.deploy import prometheus as monitoring
from tests.deploy.pod import Image, Pod
from tests.deploy.prometheus import MONITORING, Series, filled_in, grouped_by, selectors
from tests.service.server import ROOT, SAMPLES, Server, free_ports, serving

TARGET = {"namespace", "pod", "job", "instance"}
"""Labels that every scraped metric gets from where it was scraped."""

ELSEWHERE = {
    "kube_deployment_status_replicas_available": {"namespace", "deployment"},
    "kube_pod_container_status_restarts_total": {"namespace", "pod", "container"},
    "container_cpu_usage_seconds_total": {"namespace", "pod", "container"},
    "container_memory_working_set_bytes": {"namespace", "pod", "container"},
}
"""What kube-state-metrics and the kubelet export, as their documentation has it."""

RULES = {rule.get("alert", rule.get("record")): rule for rule in monitoring.rules()}
ALERTS = [name for name, rule in RULES.items() if "alert" in rule]
RECORDED = {name for name, rule in RULES.items() if "record" in rule}
QUERIES = [
    pytest.param(filled_in(target["expr"]), id=f"{panel['title']}-{target['refId']}")
    for panel in monitoring.panels()
    for target in panel["targets"]
] + [pytest.param(rule["expr"], id=name) for name, rule in RULES.items()]


@dataclass
class Detector(Server):
    metrics_address: str
    """Where Prometheus finds it."""


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Detector]:
    """A detector with the gate in front, which has judged photos of three kinds."""
    home = tmp_path_factory.mktemp("monitored")
    (port,) = free_ports(1)
    settings = {
        "PLANTOOD_METRICS_PORT": str(port),
        "PLANTOOD_CAPTURE": str(home / "captured"),  # has a metric only if it is set
    }
    with serving(home, target="tests.deploy.behind:Detector", **settings) as server:
        _post(server, rounds=1)
        yield Detector(server.url, server.log, server.supervisor, f"127.0.0.1:{port}")


@pytest.fixture(scope="module")
def series(detector: Detector) -> Series:
    answer = httpx.get(f"http://{detector.metrics_address}/metrics")
    return monitoring.exported(answer.raise_for_status().text)


def _post(server: Server, rounds: int) -> None:
    photos = [SAMPLES / name for name in ("maize_leaf.jpg", "bare_soil.jpg", "broken_upload.jpg")]
    for photo in itertools.chain.from_iterable([photos] * rounds):
        files = {"image": (photo.name, photo.read_bytes(), "image/jpeg")}
        answer = httpx.post(f"{server.url}/diagnose", files=files, timeout=60)
        assert answer.status_code == (200 if photo.name == "maize_leaf.jpg" else 422)


@pytest.mark.parametrize("expression", QUERIES)
def test_every_metric_and_label_is_exported(expression: str, series: Series) -> None:
    asked = selectors(expression)
    assert asked
    offered = set(TARGET)
    for selector in asked:
        if selector.name in RECORDED:
            known = grouped_by(RULES[selector.name]["expr"])
        elif selector.name in ELSEWHERE:
            known = ELSEWHERE[selector.name]
        else:
            assert selector.name in series
            known = {label for labels in series[selector.name] for label in labels}
            # a status that is not 200 or 500 appears with the first answer that has it
            fixed = {
                label: value
                for label, value in selector.equal.items()
                if label not in TARGET | {"http_response_code"}
            }
            assert any(fixed.items() <= labels.items() for labels in series[selector.name])
        offered |= known
        assert selector.labels <= known | TARGET
    assert grouped_by(expression) <= offered


def test_every_metric_of_plantood_is_watched() -> None:
    read = {
        selector.name
        for panel in monitoring.panels()
        for target in panel["targets"]
        for selector in selectors(filled_in(target["expr"]))
    }
    for metric in (*METRICS, *COMPOSED_METRICS):
        name = metric.describe()[0].name
        assert any(reading.startswith(name) for reading in read), name


def test_a_metric_that_does_not_exist_would_be_found(series: Series) -> None:
    for wrong in (
        "sum(rate(plantood_verdict_total[5m]))",
        'plantood_verdicts_total{verdit="accept"}',
        'plantood_stage_seconds_sum{stage="scored"}',
        "sum by (gate) (plantood_gate_info)",
    ):
        with pytest.raises(AssertionError):
            test_every_metric_and_label_is_exported(wrong, series)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    alert = RULES[name]
    assert name.startswith("Plantood")
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"]["summary"].endswith(".")
    assert len(alert["annotations"]["description"]) > 100
    documented = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    assert f"`{name}`" in documented


def test_the_dashboard_is_well_formed() -> None:
    dashboard = monitoring.dashboard()
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "namespace"}
    for panel in monitoring.panels():
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_the_dashboards_annotations_ask_for_what_is_there(series: Series) -> None:
    for annotation in monitoring.dashboard()["annotations"]["list"]:
        if "expr" in annotation:
            test_every_metric_and_label_is_exported(filled_in(annotation["expr"]), series)


def test_the_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    """By Prometheus's own tool, on series of hours that the test file writes out."""
    promtool = monitoring.tool("promtool")
    complete, bare = tmp_path / "complete.yaml", tmp_path / "rules.yaml"
    complete.write_text(yaml.safe_dump(monitoring.rule_file()))
    without = monitoring.rule_file()
    for group in without["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    bare.write_text(yaml.safe_dump(without))
    cases = tmp_path / "rules.test.yaml"
    cases.write_text((MONITORING / "prometheus-rules.test.yaml").read_text())
    for command in (["check", "rules", complete], ["test", "rules", cases]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    fired = {
        case["alertname"]
        for test in yaml.safe_load(cases.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == set(ALERTS)


@pytest.fixture(scope="module")
def gate(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The production gate, its scorer beside it."""
    work = tmp_path_factory.mktemp("gate") / "pod"
    with pods.running(pods.launch("production", "gate", image, work)) as pod:
        yield pod


def test_a_pod_has_photos_on_one_port_and_metrics_on_the_other(gate: Pod) -> None:
    assert httpx.get(f"{gate.url}/metrics").status_code == 404
    photo = (SAMPLES / "maize_leaf.jpg").read_bytes()
    assert httpx.post(f"{gate.url}/check", content=photo, timeout=60).status_code == 200
    assert httpx.post(f"{gate.metrics_url}/check", content=photo).is_error
    metrics = gate.metrics()
    assert metrics['plantood_verdicts_total{reason="none",verdict="accept"}'] == 1


def test_a_real_prometheus_answers_every_panel(detector: Detector, tmp_path: Path) -> None:
    labels = {"namespace": "farm", "pod": "plantood-0"}
    with monitoring.scraping(detector.metrics_address, tmp_path, labels) as prometheus:
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(_post, detector, rounds=20)
            time.sleep(6)
            load.result()
        for panel in monitoring.panels():
            for query in panel["targets"]:
                expression = filled_in(query["expr"], interval="15s").replace("[30m]", "[15s]")
                answer = prometheus.get("/query", params={"query": expression}).json()
                assert answer["status"] == "success", (panel["title"], answer)
                asked = {selector.name for selector in selectors(expression)}
                if not asked & ELSEWHERE.keys() and "offset" not in expression:
                    assert answer["data"]["result"], (panel["title"], expression)
        groups = prometheus.get("/rules").json()["data"]["groups"]
        assert {rule["name"] for group in groups for rule in group["rules"]} == set(RULES)
        assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
