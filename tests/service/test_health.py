from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.server import ROOT, SAMPLES, Server, serving, start

PLANT = (SAMPLES / "maize_leaf.jpg").read_bytes()
SOIL = (SAMPLES / "bare_soil.jpg").read_bytes()


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another gate than the newest, two workers, another language, policy and limits."""
    home = tmp_path_factory.mktemp("configured")
    save = "from plantood.model.store import save_gate; from plantood.starter import starter_dir; "
    for version in ("second", "newest"):
        subprocess.run(
            [sys.executable, "-c", save + f"save_gate(starter_dir(), version={version!r})"],
            env={"BENTOML_HOME": str(home), "PATH": "", "PYTHONPATH": str(ROOT)},
            check=True,
        )
    with serving(
        home,
        PLANTOOD_GATE="plantood-gate:second",
        PLANTOOD_WORKERS="2",
        PLANTOOD_LANGUAGE="fr",
        PLANTOOD_POLICY="plant_threshold=0.999",
        PLANTOOD_MAX_UPLOAD_MB="1",
        PLANTOOD_MAX_MEGAPIXELS="1",
        PLANTOOD_MAX_PHOTOS="2",
    ) as server:
        yield server


def test_the_configuration_names_the_gate_that_judges(configured: Server) -> None:
    assert httpx.get(f"{configured.url}/model").json()["model"] == "plantood-gate:second"
    verdict = httpx.post(f"{configured.url}/check", content=PLANT).json()
    assert verdict["model"] == "plantood-gate:second"
    assert (verdict["verdict"], verdict["threshold"]) == ("retake", 0.999)


def test_the_limits_are_the_configured_ones(configured: Server) -> None:
    check, batch = f"{configured.url}/check", f"{configured.url}/check_batch"
    large = httpx.post(check, content=bytes(2 << 20))
    assert (large.status_code, "1 MB" in large.json()["error"]) == (413, True)
    three = httpx.post(batch, files=[("images", PLANT)] * 3)
    assert (three.status_code, "2" in three.json()["error"]) == (400, True)


def test_metrics_and_verdicts_are_right_with_two_workers(configured: Server) -> None:
    assert len(configured.workers("PlantGate")) >= 2
    key = 'plantood_verdicts_total{reason="not_a_plant",verdict="retake"}'
    before = configured.metrics()[key]

    def post(_: int) -> str:
        return httpx.post(f"{configured.url}/check", content=SOIL).json()["reasons"][0]["message"]

    with ThreadPoolExecutor(4) as pool:
        messages = set(pool.map(post, range(20)))
    assert configured.metrics()[key] - before == 20
    english = httpx.post(f"{configured.url}/check?language=en", content=SOIL).json()
    assert len(messages) == 1
    assert messages != {english["reasons"][0]["message"]}


def test_probes_open_no_connections(configured: Server) -> None:
    def descriptors() -> list[int]:
        processes = configured.workers("PlantGate") + configured.workers("PlantScorer")
        return [process.num_fds() for process in processes]

    with httpx.Client(base_url=configured.url) as client:
        for _ in range(4):
            client.get("/readyz")
        before = descriptors()
        for _ in range(100):
            assert client.get("/readyz").status_code == 200
            assert client.get("/livez").status_code == 200
    assert all(now <= then + 2 for now, then in zip(descriptors(), before, strict=True))


def _status(server: Server, probe: str) -> int:
    return httpx.get(f"{server.url}/{probe}", timeout=10).status_code


def _scorer(server: Server) -> psutil.Process:
    return next(p for p in server.workers("PlantScorer"))


def test_not_ready_while_the_scorer_is_stuck(server: Server) -> None:
    scorer = _scorer(server)
    scorer.suspend()
    try:
        time.sleep(1.1)  # an answer is good for a second
        assert (_status(server, "readyz"), _status(server, "livez")) == (503, 503)
    finally:
        scorer.resume()
    server.wait_until_ready(10)
    assert _status(server, "livez") == 200


def test_a_scorer_killed_under_load_costs_no_wrong_answer_and_comes_back(server: Server) -> None:
    def post(_: int) -> httpx.Response:
        return httpx.post(f"{server.url}/check", content=PLANT, timeout=40)

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(post, number) for number in range(40)]
        time.sleep(0.2)
        _scorer(server).kill()
        responses = [answer.result() for answer in answers]
    assert {response.status_code for response in responses} <= {200, 503}
    for response in responses:
        body = response.json()
        assert body["verdict"] == "accept" if response.status_code == 200 else body["error"]
    server.wait_until_ready(30)
    assert post(0).json()["verdict"] == "accept"


def test_a_gate_that_is_not_in_the_store_says_what_to_do(tmp_path: Path) -> None:
    process, server = start(tmp_path, PLANTOOD_GATE="plantood-gate:lost")
    assert process.wait(60) != 0
    assert "has no gate model plantood-gate:lost" in server.output
    assert "PLANTOOD_GATE" in server.output
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PLANTOOD_WORKERS", "none", "PLANTOOD_WORKERS='none' cannot be used"),
        ("PLANTOOD_POLICY", "plant_treshold=1", "no threshold plant_treshold"),
        ("PLANTOOD_MESSAGES_FILE", "/nowhere.json", "/nowhere.json cannot be read"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    process, server = start(tmp_path, **{name: value})
    assert process.wait(60) != 0
    assert sentence in server.output
    assert "Traceback" not in server.output
