"""Gate and scorer in pods of their own, as the overlay `production-split` has them."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.deploy import pod as pods
from tests.deploy.balancer import Balancer, balancing
from tests.deploy.pod import Image, Pod
from tests.security.attacks import PLANT, in_the_background, post_until

OVERLAY = "production-split"


@dataclass
class Split:
    gate: Pod
    scorer: Pod
    service: Balancer
    """The Service in front of the scorers."""


@pytest.fixture(scope="module")
def split(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    """One gate and one scorer, and between them what the Service of the scorers is."""
    work = tmp_path_factory.mktemp("split")
    scorer = pods.launch(OVERLAY, "scorer", image, work / "scorer")
    with balancing(scorer.address[1]) as service:
        host = f"127.0.0.1:{service.port}"
        changes = {"SCORER_HOST": host, "PLANTOOD_GATE_TIMEOUT_S": "8"}
        gate = pods.launch(OVERLAY, "gate", image, work / "gate", **changes)
        with pods.running(scorer), pods.running(gate):
            yield Split(gate, scorer, service)


def test_the_verdict_is_that_of_the_gate_with_its_own_scorer(split: Split) -> None:
    verdict = httpx.post(f"{split.gate.url}/check", content=PLANT, timeout=60).json()
    assert (verdict["verdict"], verdict["model"]) == ("accept", "plantood-gate:starter")
    assert not split.gate.workers("PlantScorer")
    assert not split.scorer.workers("PlantGate")
    assert _scored(split.scorer) > 0


def test_a_scorer_added_under_load_gets_its_share_and_one_that_ends_loses_no_photo(
    split: Split, image: Image, tmp_path: Path
) -> None:
    statuses: list[int] = []
    load = functools.partial(post_until, split.gate, photo=PLANT, statuses=statuses)
    with in_the_background(load, 6):
        added = pods.launch(OVERLAY, "scorer", image, tmp_path / "added")
        with pods.running(added):
            split.service.pods.append(added.address[1])
            deadline = time.monotonic() + 60
            while _scored(added) < 5:
                assert time.monotonic() < deadline, "the added scorer got no photo"
                time.sleep(0.2)
            # the pod leaves the Service; meanwhile it runs its preStop, then gets SIGTERM
            split.service.pods.remove(added.address[1])
            added.before_stop()
            assert added.terminate() == 0
            time.sleep(0.5)
    assert len(statuses) > 50
    assert set(statuses) == {200}


def test_a_gate_whose_scorer_is_gone_is_not_ready_but_is_not_restarted(split: Split) -> None:
    split.service.pods.clear()
    split.scorer.supervisor.suspend()
    for child in split.scorer.supervisor.children(recursive=True):
        child.suspend()
    try:
        time.sleep(1.1)  # an answer is good for a second
        assert split.gate.probe("readinessProbe") == 503
        assert split.gate.probe("livenessProbe") == 200
        refused = httpx.post(f"{split.gate.url}/check", content=PLANT, timeout=60)
        assert (refused.status_code, bool(refused.json()["error"])) == (503, True)
    finally:
        for child in split.scorer.supervisor.children(recursive=True):
            child.resume()
        split.scorer.supervisor.resume()
        split.service.pods.append(split.scorer.address[1])
    deadline = time.monotonic() + 30
    while split.gate.probe("readinessProbe") != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    answer = httpx.post(f"{split.gate.url}/check", content=PLANT, timeout=60)
    assert answer.json()["verdict"] == "accept"


def _scored(pod: Pod) -> float:
    """Calls of a scorer's network that were answered."""
    return sum(
        value
        for key, value in pod.metrics().items()
        if key.startswith("bentoml_service_request_total")
        and 'endpoint="/score"' in key
        and 'http_response_code="200"' in key
    )
