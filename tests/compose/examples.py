"""The documents' own files, and what is asked of each when it serves."""

from __future__ import annotations

import httpx

from plantood.verdict import Verdict
from tests.service.server import ROOT, SAMPLES, Server

EXAMPLES = ROOT / "examples" / "compose"
TARGETS = {
    "gate_service": "gate_service:Detector",
    "scorer_service": "scorer_service:Detector",
    "decorated": "decorated:Detector",
    "elsewhere": "elsewhere:Detector",
    "legacy_runner": "legacy_runner:service",
    "in_process": "in_process:Detector",
}
"""What `bentoml serve` is told, by the name of the file."""


def diagnose(name: str, server: Server, photo: str) -> httpx.Response:
    """Send a sample photo to an example's API."""
    data = (SAMPLES / f"{photo}.jpg").read_bytes()
    if name == "legacy_runner":
        kind = {"Content-Type": "image/jpeg"}
        return httpx.post(f"{server.url}/diagnose_photo", content=data, headers=kind, timeout=60)
    files = {"photo": ("photo.jpg", data, "image/jpeg")}
    return httpx.post(f"{server.url}/diagnose", files=files, timeout=60)


def assert_it_judges(name: str, server: Server) -> None:
    """Whichever way, a plant is diagnosed, and soil and a broken photo have a verdict."""
    plant, soil, broken = (
        diagnose(name, server, photo).raise_for_status().json()
        for photo in ("maize_leaf", "bare_soil", "broken_upload")
    )
    if name in ("gate_service", "scorer_service"):
        assert plant["diagnosis"].keys() == {"disease", "share"}
        assert soil["diagnosis"] is broken["diagnosis"] is None
        plant, soil, broken = (answer["verdict"] for answer in (plant, soil, broken))
        assert Verdict.model_validate(plant).accepted
    else:
        assert plant.keys() == {"disease", "share"}
    assert Verdict.model_validate(soil).reasons[0].code == "not_a_plant"
    assert Verdict.model_validate(broken).reasons[0].code == "unreadable"
    named = [key for key in server.metrics() if key.startswith("plantood_gate_info{")]
    # A gate elsewhere names itself there.
    assert bool(named) == (name != "elsewhere")
    assert all('model="plantood-gate:starter"' in key for key in named)
    assert "Traceback" not in server.output
