from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.service.server import SAMPLES, Server, serving

PLANT, SOIL = str(SAMPLES / "maize_leaf.jpg"), str(SAMPLES / "bare_soil.jpg")


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("composed")
    with serving(home, target="tests.service.composed:Detector") as server:
        yield server


def test_python_code_calls_the_gate_with_any_form_of_a_photo(composed: Server) -> None:
    verdicts = httpx.post(f"{composed.url}/ask", json={"path": PLANT}).raise_for_status().json()
    large = httpx.post(f"{composed.url}/ask_enlarged", json={"path": PLANT}).raise_for_status()
    messages = {
        language: httpx.post(f"{composed.url}/say", json={"path": SOIL, "language": language})
        for language in ("en", "fr")
    }
    metrics = composed.metrics()
    assert [verdict["verdict"] for verdict in verdicts] == ["accept"] * 7
    first = verdicts[0]
    for verdict in verdicts[1:]:
        assert verdict["plant_probability"] == pytest.approx(first["plant_probability"], abs=1e-4)
        assert verdict["quality"] == first["quality"]
    assert (large.json()["verdict"], large.json()["quality"]["width"]) == ("accept", 3000)
    assert messages["en"].text != messages["fr"].text
    assert metrics['plantood_verdicts_total{reason="none",verdict="accept"}'] == 8


def test_a_stop_leaves_gate_and_scorer_to_whoever_still_needs_them(composed: Server) -> None:
    """SIGTERM reaches all three at once, while the detector has yet to ask the gate."""

    def post(_: int) -> httpx.Response:
        return httpx.post(f"{composed.url}/ask_later", json={"path": PLANT}, timeout=30)

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(post, number) for number in range(4)]
        time.sleep(0.5)
        composed.supervisor.terminate()
        assert [answer.result().json()["verdict"] for answer in answers] == ["accept"] * 4
    composed.supervisor.wait(20)
