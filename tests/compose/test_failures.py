"""The gate fails under a composed service: its processes are stopped and killed for real."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from plantood.http.timeout import HEADER
from plantood.verdict import Verdict
from tests.compose.detectors import WAIT
from tests.service.server import Server

SLACK = 5.0
"""Seconds that a busy machine may need beyond the time that the gate gets."""
Photos = dict[str, bytes]


def errors(server: Server, **labels: str) -> float:
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return server.metrics()[f"plantood_gate_errors_total{{{inside}}}"]


def timed(http: httpx.Client, api: str, photo: bytes) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    answer = http.post(f"/{api}", content=photo)
    return answer, time.monotonic() - started


@pytest.mark.parametrize("outcome", ["accept", "retake", "raise"])
def test_a_gate_that_is_stuck(
    detector: Server, http: httpx.Client, photos: Photos, outcome: str
) -> None:
    api = f"or_{outcome}"
    assert timed(http, api, photos["maize_leaf"])[0].json()["verdict"]["model"]
    before = errors(detector, kind="timeout", outcome=outcome)
    with detector.stuck("PlantScorer"):
        answer, seconds = timed(http, api, photos["maize_leaf"])
        dark, _ = timed(http, api, photos["pocket"])
        broken, _ = timed(http, api, photos["broken_upload"])
    assert WAIT - 0.1 < seconds < WAIT + SLACK
    # what needs no network is judged all the same
    assert dark.json()["reasons"][0]["code"] == "too_dark"
    assert broken.json()["reasons"][0]["code"] == "unreadable"
    body = answer.json()
    if outcome == "raise":
        assert answer.status_code == 503
        assert "no answer in time" in body["error"]
        assert int(answer.headers["Retry-After"]) > 0
    elif outcome == "retake":
        verdict = Verdict.model_validate(body)
        assert (verdict.verdict, verdict.judged) == ("retake", False)
        assert verdict.reasons[0].code == "gate_unavailable"
        assert "again" in verdict.reasons[0].message
    else:
        verdict = Verdict.model_validate(body["verdict"])
        assert (verdict.verdict, verdict.judged, verdict.reasons) == ("accept", False, [])
    assert errors(detector, kind="timeout", outcome=outcome) == before + 1
    assert f"The gate gave no verdict (timeout), so: {outcome}." in detector.output
    assert timed(http, api, photos["maize_leaf"])[0].json()["verdict"]["model"]


@pytest.mark.parametrize("api", ["by_service_in_time", "by_url_in_time"])
def test_a_gate_in_another_process_gives_up_when_its_caller_does(
    detector: Server, elsewhere: Server, http: httpx.Client, photos: Photos, api: str
) -> None:
    """And not after its own time, which is twenty seconds."""
    gate = elsewhere if api == "by_url_in_time" else detector
    wanted = ('http_response_code="504"', f'"/check{"" if gate is elsewhere else "_batch"}"')

    def given_up() -> float:
        return sum(
            value
            for name, value in gate.metrics().items()
            if name.startswith("bentoml_service_request_total{")
            and all(label in name for label in wanted)
        )

    scored, before = gate.metrics()["plantood_scorer_errors_total"], given_up()
    with gate.stuck("PlantScorer"):
        answer, seconds = timed(http, api, photos["maize_leaf"])
        deadline = time.monotonic() + SLACK
        while given_up() == before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert given_up() == before + 1
    assert (answer.status_code, "no answer in time" in answer.json()["error"]) == (503, True)
    assert WAIT - 0.1 < seconds < WAIT + SLACK
    assert gate.metrics()["plantood_scorer_errors_total"] == scored


def test_no_header_makes_a_gate_fail_that_is_open_when_it_does(
    http: httpx.Client, photos: Photos
) -> None:
    answer = http.post("/or_accept", content=photos["bare_soil"], headers={HEADER: "1"})
    assert answer.json()["reasons"][0]["code"] == "not_a_plant"


def test_several_photos_of_which_one_needs_a_gate_that_is_stuck(
    detector: Server, http: httpx.Client, photos: Photos
) -> None:
    with detector.stuck("PlantScorer"):
        files = [("images", photos[name]) for name in ("pocket", "maize_leaf")]
        answer = http.post("/many_or_raise", files=files)
        dark = http.post("/many_or_raise", files=files[:1])
    assert (answer.status_code, "no answer in time" in answer.json()["error"]) == (503, True)
    assert dark.json()[0]["reasons"][0]["code"] == "too_dark"


def test_a_gate_that_is_stuck_costs_only_those_merged_senders_who_need_it(
    detector: Server, photos: Photos
) -> None:
    names = ("pocket", "maize_leaf")

    def post(number: int) -> httpx.Response:
        files = {"images": photos[names[number % 2]]}
        return httpx.post(f"{detector.url}/batchable_or_raise", files=files, timeout=90)

    with detector.stuck("PlantScorer"), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    assert [answer.status_code for answer in answers] == [200, 503] * 4
    assert {answer.json()[0]["reasons"][0]["code"] for answer in answers[::2]} == {"too_dark"}
    assert all("no answer in time" in answer.json()["error"] for answer in answers[1::2])


def test_a_broken_photo_that_no_gate_has_seen_is_still_no_error(
    detector: Server, http: httpx.Client, photos: Photos
) -> None:
    before = errors(detector, kind="unreachable", outcome="accept")
    plant = http.post("/nowhere_or_accept", content=photos["maize_leaf"]).json()
    assert plant["verdict"]["model"] is None
    broken = Verdict.model_validate(
        http.post("/nowhere_or_accept", content=photos["broken_upload"]).json()
    )
    assert broken.reasons[0].code == "unreadable"
    files = [("images", photos[n]) for n in ("maize_leaf", "broken_upload", "bare_soil")]
    several = http.post("/many_nowhere_or_accept", files=files).json()
    assert [answer.get("together") for answer in several] == [2, None, 2]
    assert errors(detector, kind="unreachable", outcome="accept") == before + 5


def right(photo: str, body: dict[str, Any], api: str) -> bool:
    """Whether an answer of status 200 is right, for a photo and what the API does on failure."""
    verdict = Verdict.model_validate(body["verdict"] if "form" in body else body)
    if verdict.judged:
        return verdict.accepted == (photo == "maize_leaf")
    return verdict.verdict == api.removeprefix("or_")


@pytest.mark.parametrize(
    ("api", "victim"),
    [
        ("or_raise", "PlantScorer"),
        ("or_accept", "PlantScorer"),
        ("by_service", "PlantGate"),
    ],
)
def test_a_process_killed_under_load_costs_no_wrong_answer_and_comes_back(
    detector: Server, photos: Photos, api: str, victim: str
) -> None:
    patience = WAIT if api.startswith("or_") else 20.0  # PLANTOOD_GATE_TIMEOUT_S
    names = ("maize_leaf", "bare_soil")

    def post(number: int) -> tuple[str, httpx.Response, float]:
        name = names[number % 2]
        with httpx.Client(base_url=detector.url, timeout=90) as http:
            return name, *timed(http, api, photos[name])

    killed = detector.workers(victim)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(post, number) for number in range(32)]
        answers[0].result()  # the load is on
        for process in killed:
            process.kill()
        results = [answer.result() for answer in answers]
    assert max(seconds for *_, seconds in results) < patience + SLACK
    for name, answer, _ in results:
        if answer.status_code == 503:
            assert api in ("or_raise", "by_service")
            assert answer.json()["error"]
        else:
            assert answer.status_code == 200, answer.text
            assert right(name, answer.json(), api), answer.text
    detector.wait_until_ready(60)
    for number in range(2):
        name, answer, _ = post(number)
        assert answer.status_code == 200
        assert right(name, answer.json(), api)
        assert '"model":null' not in answer.text
    assert not {p.pid for p in detector.workers(victim)} & {p.pid for p in killed}


def test_a_runner_killed_under_load_costs_no_wrong_answer_and_comes_back(
    legacy: Server, photos: Photos
) -> None:
    names = ("maize_leaf", "bare_soil")

    def post(number: int) -> tuple[str, httpx.Response]:
        photo = photos[names[number % 2]]
        headers = {"Content-Type": "image/jpeg"}
        answer = httpx.post(f"{legacy.url}/verdict", content=photo, headers=headers, timeout=30)
        return names[number % 2], answer

    killed = legacy.workers("bentoml_cli.worker.runner")
    assert killed
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(post, number) for number in range(16)]
        answers[0].result()
        for process in killed:
            process.kill()
        results = [answer.result() for answer in answers]
    for name, answer in [*results, post(0), post(1)]:
        assert answer.status_code in (200, 503)
        if answer.status_code == 200:
            assert right(name, answer.json(), "or_raise")
    assert [post(number)[1].status_code for number in range(2)] == [200, 200]
