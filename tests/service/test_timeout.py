"""A caller says how long it waits, and the scorer does not answer."""

from __future__ import annotations

import httpx
import pytest

from plantood.http.timeout import HEADER
from tests.service.server import Server

ERRORS = "plantood_scorer_errors_total"


@pytest.mark.parametrize(("path", "field"), [("/check", "image"), ("/check_batch", "images")])
def test_a_photo_that_nobody_waits_for_any_more_is_given_up(
    server: Server, http: httpx.Client, plant: bytes, path: str, field: str
) -> None:
    failed = server.metrics()[ERRORS]
    with server.stuck("PlantScorer"):
        answer = http.post(path, files={field: plant}, headers={HEADER: "700"})
    assert answer.status_code == 504, answer.text
    assert "while its sender waits" in answer.json()["error"]
    assert 0.6 < answer.elapsed.total_seconds() < 6
    assert server.metrics()[ERRORS] == failed  # whoever says so may have said 1
    assert "Traceback" not in server.output


def test_one_that_is_waited_for_is_judged(http: httpx.Client, plant: bytes) -> None:
    answer = http.post("/check", content=plant, headers={HEADER: "60000"})
    assert answer.json()["verdict"] == "accept"


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "9" * 9, ""])
def test_what_is_no_time_is_refused(http: httpx.Client, plant: bytes, value: str) -> None:
    for path in ("/check", "/check_batch"):
        answer = http.post(path, files={"image": plant}, headers={HEADER: value})
        assert (answer.status_code, HEADER in answer.json()["error"]) == (400, True), answer.text


def test_no_field_and_no_query_says_it(http: httpx.Client, plant: bytes) -> None:
    """It is the argument of a call from the same bento, and in no schema."""
    for asked in (
        http.post("/check?timeout_ms=1", content=plant),
        http.post("/check", files={"image": plant}, data={"timeout_ms": "soon"}),
    ):
        assert asked.json()["verdict"] == "accept", asked.text
    schema = http.get("/schema.json").text
    assert "timeout_ms" not in schema
    assert "timeout_ms" not in http.get("/docs.json").text
