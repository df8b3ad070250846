from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service import tiny_gate
from tests.service.server import ROOT, SAMPLES, Server, serving, start

PLANT = (SAMPLES / "maize_leaf.jpg").read_bytes()
SOIL = (SAMPLES / "bare_soil.jpg").read_bytes()


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gate of another size, not the newest; two workers, another language and limits."""
    home = tmp_path_factory.mktemp("configured")
    tiny_gate.save(home, "tiny", "newest")
    document = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    bentoml_settings = home / "bentoml.yaml"
    bentoml_settings.write_text(document.split("```yaml\n")[1].split("```")[0])
    with serving(
        home,
        BENTOML_CONFIG=str(bentoml_settings),
        PLANTOOD_GATE="plantood-gate:tiny",
        PLANTOOD_WORKERS="2",
        PLANTOOD_LANGUAGE="fr",
        PLANTOOD_POLICY="plant_threshold=0.6",
        PLANTOOD_MAX_UPLOAD_MB="1",
        PLANTOOD_MAX_MEGAPIXELS="1",
        PLANTOOD_MAX_PHOTOS="2",
    ) as server:
        yield server


def test_the_configuration_names_the_gate_that_judges(configured: Server) -> None:
    answer = httpx.get(f"{configured.url}/model")
    model = answer.json()
    assert tiny_gate.FARM not in answer.text
    assert (model["model"], model["input_size"]) == ("plantood-gate:tiny", 96)
    assert model["policy"]["plant_threshold"] == 0.6
    assert model["metrics"] == {"auroc": None}  # it was saved as not a number
    plant, soil = (
        httpx.post(f"{configured.url}/check", content=photo).json() for photo in (PLANT, SOIL)
    )
    assert plant["model"] == soil["model"] == "plantood-gate:tiny"
    assert plant["threshold"] == 0.6
    assert (plant["verdict"], soil["verdict"]) == ("accept", "retake")


def test_the_limits_are_the_configured_ones(configured: Server) -> None:
    check, batch = f"{configured.url}/check", f"{configured.url}/check_batch"
    large = httpx.post(check, content=bytes(2 << 20))
    assert (large.status_code, "1 MB" in large.json()["error"]) == (413, True)
    three = httpx.post(batch, files=[("images", PLANT)] * 3)
    assert (three.status_code, "2" in three.json()["error"]) == (400, True)


def test_the_documented_bentoml_settings_are_in_force(configured: Server) -> None:
    origin = "https://app.example.org"
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{configured.url}/check", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)


def test_an_app_elsewhere_can_read_refusals(configured: Server) -> None:
    """A browser hands an answer without these headers to nobody."""
    origin = "https://app.example.org"
    check, headers = f"{configured.url}/check", {"Origin": origin}
    answers = [
        httpx.post(check, content=bytes(2 << 20), headers=headers),
        httpx.post(check, json={}, headers=headers),
        httpx.post(check, content=b"x", headers=headers | {"Content-Encoding": "gzip"}),
        httpx.get(f"{configured.url}/nowhere", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [413, 400, 415, 404]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == origin


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


def test_hundreds_of_requests_at_once_are_all_answered(server: Server) -> None:
    """BentoML's own client breaks requests under way after each hundredth, unless told not to."""

    def post(_: int) -> list[int]:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            return [client.post("/check", content=PLANT).status_code for _ in range(30)]

    before = server.metrics()["plantood_scorer_errors_total"]
    with ThreadPoolExecutor(8) as pool:
        assert [status for statuses in pool.map(post, range(8)) for status in statuses] == [
            200
        ] * 240
    assert server.metrics()["plantood_scorer_errors_total"] == before
    assert "Traceback" not in server.output


def _status(server: Server, probe: str) -> int:
    return httpx.get(f"{server.url}/{probe}", timeout=30).status_code


def _scorer(server: Server) -> psutil.Process:
    return next(p for p in server.workers("PlantScorer"))


def test_a_stuck_scorer_is_not_ready_but_alive_until_it_is_given_up(server: Server) -> None:
    scorer = _scorer(server)
    scorer.suspend()
    try:
        time.sleep(1.1)  # an answer is good for a second
        with ThreadPoolExecutor(1) as pool:
            livez = pool.submit(_status, server, "livez")
            assert _status(server, "readyz") == 503
            assert not livez.done()
            scorer.resume()
            assert livez.result() == 200
    finally:
        scorer.resume()
    server.wait_until_ready(10)


def test_an_overloaded_scorer_is_alive(server: Server) -> None:
    """The longest queue that the tests may build: every answer comes late, none is a restart."""
    stop = time.monotonic() + 3

    def post(_: int) -> set[int]:
        statuses = set()
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while time.monotonic() < stop:
                statuses.add(client.post("/check", content=PLANT).status_code)
        return statuses

    with ThreadPoolExecutor(32) as pool:
        answers = [pool.submit(post, number) for number in range(32)]
        probes = set()
        while time.monotonic() < stop:
            probes |= {_status(server, "livez"), _status(server, "readyz")}
        assert set().union(*(answer.result() for answer in answers)) == {200}
    assert probes == {200}


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


def test_a_scorer_that_ends_by_itself_comes_back(server: Server) -> None:
    """As an operator ends it, or whoever watches memory; and then it has to end at once."""
    scorer = _scorer(server)
    scorer.terminate()
    time.sleep(0.5)  # or the two are one
    scorer.terminate()
    assert not psutil.wait_procs([scorer], timeout=20)[1]
    server.wait_until_ready(20)
    assert httpx.post(f"{server.url}/check", content=PLANT).json()["verdict"] == "accept"


def test_a_stop_leaves_no_sockets_and_another_server_no_harm(tmp_path: Path) -> None:
    """Two servers of one home, and one that does not even start."""
    temporary = Path(tempfile.mkdtemp(prefix="t"))  # a socket's path has a limit
    key = 'plantood_verdicts_total{reason="not_a_plant",verdict="retake"}'
    with serving(tmp_path, TMPDIR=str(temporary)) as first:
        httpx.post(f"{first.url}/check", content=SOIL)
        assert first.metrics()[key] == 1
        with serving(tmp_path, TMPDIR=str(temporary)) as second:
            assert second.metrics()[key] == 0
            with start(tmp_path, PLANTOOD_WORKERS="none") as third:
                assert third.supervisor.wait(60) != 0
            assert first.metrics()[key] == 1
    assert not [path for path in temporary.iterdir() if path.name.startswith("bentoml-uds")]


def test_a_gate_that_is_not_in_the_store_says_what_to_do(tmp_path: Path) -> None:
    with start(tmp_path, PLANTOOD_GATE="plantood-gate:lost") as server:
        assert server.supervisor.wait(60) != 0
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
    with start(tmp_path, **{name: value}) as server:
        assert server.supervisor.wait(60) != 0
    assert sentence in server.output
    assert "Traceback" not in server.output


def test_a_stop_answers_what_is_in_hand_first(configured: Server) -> None:
    """SIGTERM reaches scorer and gate at the same time, while eight photos wait for a score."""

    def post(_: int) -> httpx.Response:
        return httpx.post(f"{configured.url}/check", content=PLANT, timeout=30)

    scorer = _scorer(configured)
    scorer.suspend()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, number) for number in range(8)]
        time.sleep(1)
        configured.supervisor.terminate()
        time.sleep(0.5)
        scorer.resume()
        assert [answer.result().json()["verdict"] for answer in answers] == ["accept"] * 8
    assert not psutil.wait_procs([scorer], timeout=10)[1]
