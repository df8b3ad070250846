from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.service.server import SAMPLES, serving


def test_python_code_calls_the_gate_with_any_form_of_a_photo(tmp_path: Path) -> None:
    plant, soil = str(SAMPLES / "maize_leaf.jpg"), str(SAMPLES / "bare_soil.jpg")
    with serving(tmp_path, target="tests.service.composed:Detector") as server:
        verdicts = httpx.post(f"{server.url}/ask", json={"path": plant}).raise_for_status().json()
        large = httpx.post(f"{server.url}/ask_enlarged", json={"path": plant}).raise_for_status()
        messages = {
            language: httpx.post(f"{server.url}/say", json={"path": soil, "language": language})
            for language in ("en", "fr")
        }
        metrics = server.metrics()
    assert [verdict["verdict"] for verdict in verdicts] == ["accept"] * 7
    first = verdicts[0]
    for verdict in verdicts[1:]:
        assert verdict["plant_probability"] == pytest.approx(first["plant_probability"], abs=1e-4)
        assert verdict["quality"] == first["quality"]
    assert (large.json()["verdict"], large.json()["quality"]["width"]) == ("accept", 3000)
    assert messages["en"].text != messages["fr"].text
    assert metrics['plantood_verdicts_total{reason="none",verdict="accept"}'] == 8
