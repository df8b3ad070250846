"""A mistake that can be known at the start ends it, in one sentence, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.server import environment, start

HEAD = """
import bentoml
from plantood import Gate
from plantood.compose import ComposedGate, GatedService, PlantScorer, RemoteGate, Verdict, gated

@bentoml.service(service_class=GatedService)
class Detector:
"""
METHOD = """
    @bentoml.api
    @gated
    def diagnose(self, image: bytes) -> str:
        return "rust"
"""
MISTAKES = {
    "no gate": (HEAD + METHOD, "There is no Detector.gate"),
    "another name": (
        HEAD
        + "    gate = bentoml.depends(PlantScorer)\n"
        + METHOD.replace("@gated", '@gated(gate="door")'),
        "There is no Detector.door",
    ),
    "__init__ makes none": (
        HEAD + "    def __init__(self) -> None:\n        self.model = 1\n" + METHOD,
        "There is no Detector.gate",
    ),
    "an address": (HEAD + "    gate = 'http://localhost:1'\n" + METHOD, "str is no gate"),
    "not depends": (HEAD + "    gate = PlantScorer\n" + METHOD, "bentoml.depends(PlantScorer)"),
    "no address": (
        HEAD
        + "    def __init__(self) -> None:\n        self.gate = RemoteGate('localhost:3311')\n"
        + METHOD,
        "'localhost:3311' is no address of a gate",
    ),
    "a gate that is not there": (
        HEAD
        + "    def __init__(self) -> None:\n        self.gate = Gate.load('our-gate:latest')\n"
        + METHOD,
        "no gate model our-gate:latest",
    ),
    "batches of one photo": (
        HEAD
        + "    gate = bentoml.depends(PlantScorer)\n"
        + METHOD.replace("api", "api(batchable=True)"),
        "on Detector.diagnose needs a method that takes a list of photos",
    ),
    "an heir": (
        HEAD.replace("Detector:", "Detector(GatedService):")
        + "    gate = bentoml.depends(PlantScorer)\n"
        + METHOD,
        "Detector inherits from GatedService; write @bentoml.service(service_class=",
    ),
    "a photo of two names": (
        "from pydantic import Field\n"
        + HEAD
        + "    gate = bentoml.depends(PlantScorer)\n"
        + METHOD.replace("image: bytes", "image: bytes = Field(alias='leaf')"),
        "takes image by no other name",
    ),
    "verdicts beside one photo": (
        HEAD
        + "    gate = bentoml.depends(PlantScorer)\n"
        + METHOD.replace("image: bytes", "image: bytes, verdict: list[Verdict]"),
        "annotate verdict as Verdict",
    ),
}


GATED, PLAIN = "(service_class=GatedService)", ""
RAISES = ("no address", "a gate that is not there")
"""What the class's own `__init__` raises; without `GatedService` BentoML starts it again."""


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [(mistake, GATED) for mistake in MISTAKES]
    + [(mistake, PLAIN) for mistake in MISTAKES if mistake not in RAISES],
)
def test_it_ends_the_start(mistake: str, kind: str, tmp_path: Path) -> None:
    source, sentence = MISTAKES[mistake]
    (tmp_path / "service.py").write_text(source.replace(GATED, kind))
    with start(tmp_path / "home", "service:Detector", folder=tmp_path) as server:
        try:
            status = server.supervisor.wait(40)
        except psutil.TimeoutExpired:
            pytest.fail(f"it still runs:\n{server.output}")
    assert status == 1
    assert server.output.count(sentence) == 1, server.output


@pytest.mark.parametrize("kind", [GATED, PLAIN])
@pytest.mark.parametrize(
    "mistake",
    ["no gate", "another name", "an address", "not depends", "batches of one photo", "an heir"],
)
def test_it_ends_the_build(mistake: str, kind: str, tmp_path: Path) -> None:
    source, sentence = MISTAKES[mistake]
    (tmp_path / "service.py").write_text(source.replace(GATED, kind))
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "service:Detector"],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert sentence in done.stderr, done.stdout
    assert "Traceback" not in done.stderr


LATE = """
    @bentoml.on_startup
    def zealous(self) -> None:
        self.gate = RemoteGate("http://127.0.0.1:1")
"""


@pytest.mark.parametrize("kind", [GATED, PLAIN])
def test_a_gate_may_be_made_at_the_start(kind: str, tmp_path: Path) -> None:
    """By a hook that comes last by its name."""
    source = HEAD.replace(GATED, kind) + LATE + METHOD
    (tmp_path / "service.py").write_text(source)
    with start(tmp_path / "home", "service:Detector", folder=tmp_path) as server:
        server.wait_until_ready(status=503 if kind else 200)
        answer = httpx.post(f"{server.url}/diagnose", content=b"photo", timeout=60)
    assert answer.status_code == 503, server.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLANTOOD_POLICY", "plant_treshold=0.5"),
        ("PLANTOOD_MESSAGES_FILE", "/nope.json"),
        ("PLANTOOD_GATE", "plantood-gate:lost"),
        ("PLANTOOD_GATE_SHA256", "0" * 64),
        ("PLANTOOD_GATE_SHA256", "latest"),
    ],
)
def test_wrong_settings_of_a_decorated_service_end_it(
    name: str, value: str, tmp_path: Path
) -> None:
    source = HEAD + "    gate = bentoml.depends(PlantScorer)\n" + METHOD
    (tmp_path / "service.py").write_text(source)
    home = tmp_path / "home"
    with start(home, "service:Detector", folder=tmp_path, **{name: value}) as server:
        assert server.supervisor.wait(40) == 1
    assert value.partition("=")[0] in server.output
    assert name in server.output, server.output
    assert "Traceback" not in server.output


def test_wrong_settings_end_a_service_whose_gate_is_elsewhere(tmp_path: Path) -> None:
    """Nothing that it imports reads them before its workers do."""
    init = "    def __init__(self) -> None:\n        self.gate = RemoteGate('http://x')\n\n"
    source = HEAD.replace("PlantScorer, ", "") + init + METHOD
    (tmp_path / "service.py").write_text(source)
    wrong = {"PLANTOOD_MAX_UPLOAD_MB": "0"}
    with start(tmp_path / "home", "service:Detector", folder=tmp_path, **wrong) as server:
        assert server.supervisor.wait(40) == 1
    assert server.output.count("PLANTOOD_MAX_UPLOAD_MB='0' cannot be used") == 1, server.output
    assert "Traceback" not in server.output
