"""The examples of docs/compose.md are these files, and these files run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from plantood.verdict import Verdict
from tests.service.server import ROOT, SAMPLES, Server, launch, running

EXAMPLES = ROOT / "examples" / "compose"
WAYS = [
    "gate_service",
    "scorer_service",
    "decorated",
    "elsewhere",
    "legacy_runner",
    "in_process",
]
DOCUMENT = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WAYS)
def test_the_document_shows_the_file(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in DOCUMENT
    assert f"`examples/compose/{name}.py`" in DOCUMENT
    code = [line for line in source.splitlines()[1:] if line.strip()]
    assert len(code) <= 16


def test_the_readme_shows_the_decorator_in_a_few_lines() -> None:
    source = (EXAMPLES / "decorated.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len([line for line in source.splitlines() if line.strip()]) <= 15


def test_every_file_is_one_of_them_or_their_detector() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*WAYS, "my_detector"}


def assert_it_judges(name: str, post: Callable[[str], httpx.Response]) -> None:
    """Whichever way, a plant is diagnosed, and soil and a broken photo have a verdict."""
    plant, soil, broken = (
        post(photo).raise_for_status().json()
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


@pytest.mark.parametrize("name", WAYS)
def test_the_file_runs(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PLANTOOD_", "BENTOML"))
    } | {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    if name == "elsewhere":
        gate: Server = request.getfixturevalue("elsewhere")
        environment["GATE_URL"] = gate.url
    legacy = name == "legacy_runner"
    target = f"{name}:{'service' if legacy else 'Detector'}"
    command = [sys.executable, "-m", "bentoml", "serve", target]
    process, server = launch(
        command, cwd=EXAMPLES, environment=environment, log=tmp_path / "serve.log"
    )

    def post(photo: str) -> httpx.Response:
        data = (SAMPLES / f"{photo}.jpg").read_bytes()
        if legacy:
            headers = {"Content-Type": "image/jpeg"}
            url = f"{server.url}/diagnose_photo"
            return httpx.post(url, content=data, headers=headers, timeout=60)
        files = {"photo": ("photo.jpg", data, "image/jpeg")}
        return httpx.post(f"{server.url}/diagnose", files=files, timeout=60)

    with running(process, server):
        server.wait_until_ready()
        assert_it_judges(name, post)
    assert "Traceback" not in server.output
