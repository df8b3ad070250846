"""The service as it is served, behind the gate."""

from __future__ import annotations

import time

import httpx
import pytest
from plantood import Verdict

from detector import Diagnosis
from tests.conftest import DISEASES, PHOTOS, Server


@pytest.mark.parametrize("disease", DISEASES)
def test_a_leaf_is_diagnosed(server: Server, disease: str) -> None:
    answer = server.post("/diagnose", disease).raise_for_status()
    diagnosis = Diagnosis.model_validate_json(answer.content)
    assert diagnosis.disease == disease
    assert diagnosis.probabilities.keys() == set(DISEASES)


def test_bare_soil_is_asked_for_again(server: Server) -> None:
    answer = server.post("/diagnose?language=fr", "bare_soil").raise_for_status()
    verdict = Verdict.model_validate_json(answer.content)
    assert verdict.verdict == "retake"
    assert verdict.reasons[0].code == "not_a_plant"
    assert "plante" in verdict.reasons[0].message


def test_a_broken_upload_is_asked_for_again(server: Server) -> None:
    broken = (PHOTOS / "healthy.jpg").read_bytes()[:4000]
    answer = httpx.post(f"{server.url}/diagnose", content=broken, timeout=60).raise_for_status()
    assert answer.json()["reasons"][0]["code"] == "unreadable"


def test_several_photos_keep_their_order(server: Server) -> None:
    names = ["healthy", "bare_soil", "common_rust", "bare_soil", "northern_leaf_blight"]
    answers = server.post("/diagnose_many", *names, field="photos").raise_for_status().json()
    found = [answer.get("disease") or answer["verdict"] for answer in answers]
    assert found == ["healthy", "retake", "common_rust", "retake", "northern_leaf_blight"]


def test_the_description_shows_both_outcomes(server: Server) -> None:
    document = httpx.get(f"{server.url}/docs.json").json()
    answer = document["paths"]["/diagnose"]["post"]["responses"]["200"]
    outcomes = answer["content"]["application/json"]["schema"]["anyOf"]
    assert {outcome["$ref"].rsplit("/", 1)[1] for outcome in outcomes} == {"Verdict", "Diagnosis"}


def test_what_strangers_ask_for_is_bounded_as_by_the_gate(server: Server) -> None:
    answer = httpx.get(f"{server.url}/nothing", timeout=60)
    assert answer.status_code == 404
    assert answer.json().keys() == {"error"}
    measured = httpx.get(f"{server.url}/metrics", timeout=60).text
    assert 'endpoint="other"' in measured
    assert "/nothing" not in measured


def test_while_the_gate_is_down_nothing_is_diagnosed_and_then_it_comes_back(
    server: Server,
) -> None:
    server.scorer().kill()
    started = time.monotonic()
    answer = server.post("/diagnose", "healthy").raise_for_status().json()
    assert time.monotonic() - started < 20
    assert (answer["verdict"], answer["reasons"][0]["code"]) == ("retake", "gate_unavailable")
    server.wait_until_ready()
    assert server.post("/diagnose", "healthy").json()["disease"] == "healthy"
    assert server.post("/diagnose", "bare_soil").json()["verdict"] == "retake"
