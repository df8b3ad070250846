"""The service in a pod's shape: what the manifests set, it runs with; what it is told, it obeys."""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.deploy import pod as pods
from tests.deploy.manifests import container
from tests.deploy.pod import Pod
from tests.photos import encode
from tests.service.server import SAMPLES

PLANT = (SAMPLES / "maize_leaf.jpg").read_bytes()
SOIL = (SAMPLES / "bare_soil.jpg").read_bytes()


@pytest.fixture(scope="module")
def gate(image: pods.Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The production gate, its scorer beside it."""
    work = tmp_path_factory.mktemp("gate") / "pod"
    with pods.running(pods.launch("production", "gate", image, work)) as pod:
        yield pod


def test_it_judges_without_privileges_on_a_root_that_is_read_only(gate: Pod) -> None:
    answers = [httpx.post(f"{gate.url}/check", content=p, timeout=60) for p in (PLANT, SOIL)]
    assert [answer.json()["verdict"] for answer in answers] == ["accept", "retake"]
    for process in [gate.supervisor, *gate.supervisor.children(recursive=True)]:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        status = {line.partition(":")[0]: line.split()[1:] for line in lines}
        assert set(status["Uid"]) == {"1034"} if gate.isolated else {str(os.geteuid())}
        if gate.isolated:
            assert status["NoNewPrivs"] == ["1"]
            for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(status[kind][0], 16) == 0
    if gate.isolated:
        for path in ("/file", "/home/bentoml/bento/file", "/etc/plantood/file"):
            refused = gate.run("touch", path)  # even root could not
            assert "Read-only file system" in refused.stderr
    assert "Traceback" not in gate.output


def test_the_gate_model_is_the_one_that_the_manifest_says(gate: Pod) -> None:
    annotations = gate.manifest["spec"]["template"]["metadata"]["annotations"]
    assert httpx.get(f"{gate.url}/model").json()["model"] == annotations["plantood/gate-model"]


def test_slow_uploads_shut_nobody_out(gate: Pod) -> None:
    """As many as bentoml.yaml has places, and more."""
    with contextlib.ExitStack() as slow:
        for _ in range(80):
            connection = slow.enter_context(
                contextlib.closing(http.client.HTTPConnection(*gate.address, timeout=30))
            )
            connection.putrequest("POST", "/check")
            connection.putheader("Content-Type", "image/jpeg")
            connection.putheader("Content-Length", str(len(PLANT)))
            connection.endheaders(PLANT[:100])
        _until(lambda: _in_progress(gate) >= 80)
        assert httpx.post(f"{gate.url}/check", content=PLANT, timeout=30).status_code == 200
        assert gate.probe("readinessProbe") == gate.probe("livenessProbe") == 200
    _until(lambda: _in_progress(gate) == 0)


def test_more_photos_in_hand_than_the_limit_are_turned_away_at_once(gate: Pod) -> None:
    """The limit of bentoml.yaml, filled up by photos that wait for a scorer."""
    (scorer,) = gate.workers("PlantScorer")
    with ThreadPoolExecutor(64) as pool:
        scorer.suspend()
        try:
            waiting = [
                pool.submit(httpx.post, f"{gate.url}/check", content=PLANT, timeout=60)
                for _ in range(64)
            ]
            _until(lambda: _in_progress(gate) >= 64)
            time.sleep(0.5)  # their last bytes
            refused = httpx.post(f"{gate.url}/check", content=PLANT, timeout=30)
        finally:
            scorer.resume()
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
        assert refused.elapsed.total_seconds() < 2
        assert {photo.result().status_code for photo in waiting} == {200}


def test_a_stuck_scorer_fails_the_liveness_probe_and_a_slow_one_does_not(gate: Pod) -> None:
    (scorer,) = gate.workers("PlantScorer")
    patience = container(gate.manifest)["livenessProbe"]["timeoutSeconds"]
    with ThreadPoolExecutor(1) as pool:
        scorer.suspend()
        try:
            slow = pool.submit(gate.probe, "livenessProbe")
            time.sleep(1)
            assert gate.probe("readinessProbe") == 503
            scorer.resume()
            assert slow.result() == 200
            time.sleep(1.1)  # a sign of life is good for a second
            scorer.suspend()
            started = time.monotonic()
            assert gate.probe("livenessProbe") == 503
            assert time.monotonic() - started < patience
        finally:
            scorer.resume()
    for probe in ("readinessProbe", "livenessProbe"):
        _until(lambda probe=probe: gate.probe(probe) == 200)


def test_it_needs_no_more_memory_than_the_manifest_asks_for(gate: Pod) -> None:
    peak = 0
    with ThreadPoolExecutor(8) as pool:
        posts = [
            pool.submit(httpx.post, f"{gate.url}/check", content=PLANT, timeout=60)
            for _ in range(100)
        ]
        while not all(post.done() for post in posts):
            tree = [gate.supervisor, *gate.supervisor.children(recursive=True)]
            peak = max(peak, sum(process.memory_full_info().pss for process in tree))
            time.sleep(0.2)
    assert {post.result().status_code for post in posts} == {200}
    assert 0 < peak < _bytes(container(gate.manifest)["resources"]["requests"]["memory"])


def test_a_termination_under_load_loses_no_request(gate: Pod) -> None:
    """As Kubernetes ends a pod: out of the Service and preStop at the same time, then SIGTERM.

    Nodes learn late that the pod is leaving, so clients still come for two seconds. Some uploads
    are slow and end only after SIGTERM, and batches of large photos come just before it.
    """
    hook = container(gate.manifest)["lifecycle"]["preStop"]["exec"]["command"]
    delay = float(hook[1])
    left_service = time.monotonic() + 2
    terminated = left_service + delay
    statuses: list[int] = []
    written = len(gate.output)

    def steady(_: int) -> None:
        with httpx.Client(base_url=gate.url, timeout=60) as client:
            while time.monotonic() < left_service + 2:
                photo = PLANT if len(statuses) % 2 else SOIL
                statuses.append(client.post("/check", content=photo).status_code)

    def slow(_: int) -> None:
        end = terminated + 6.5  # the gate's idle connections to the scorer live for five seconds
        started = time.monotonic()

        def body() -> Iterator[bytes]:
            size = len(PLANT) // 10 + 1
            for index in range(10):
                time.sleep(max(0.0, started + (end - started) * index / 9 - time.monotonic()))
                yield PLANT[index * size : (index + 1) * size]

        headers = {"Content-Type": "image/jpeg"}
        answer = httpx.post(f"{gate.url}/check", content=body(), headers=headers, timeout=90)
        assert time.monotonic() > terminated
        assert answer.json()["verdict"] == "accept"
        statuses.append(answer.status_code)

    large = encode(Image.open(SAMPLES / "maize_leaf.jpg").resize((3000, 2000)))

    def last_moment(_: int) -> None:
        time.sleep(max(0.0, terminated - 0.2 - time.monotonic()))
        answer = httpx.post(f"{gate.url}/check_batch", files=[("images", large)] * 16, timeout=60)
        assert time.monotonic() > terminated
        assert len(answer.json()) == 16
        statuses.append(answer.status_code)

    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(steady, n) for n in range(6)]
        clients += [pool.submit(slow, n) for n in range(4)]
        clients += [pool.submit(last_moment, n) for n in range(4)]
        time.sleep(max(0.0, left_service - time.monotonic()))
        gate.before_stop()
        status = gate.terminate()
        for client in clients:
            client.result()
    assert len(statuses) > 20
    assert set(statuses) == {200}
    assert status == 0
    assert "Traceback" not in gate.output[written:]


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _in_progress(pod: Pod) -> float:
    name = "bentoml_service_request_in_progress"
    return sum(
        value
        for key, value in pod.metrics().items()
        if key.startswith(name) and 'endpoint="/check"' in key
    )


def _bytes(quantity: str) -> int:
    number, unit = quantity[:-2], quantity[-2:]
    return int(number) * {"Mi": 1 << 20, "Gi": 1 << 30}[unit]
