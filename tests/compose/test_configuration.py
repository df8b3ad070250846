"""One configuration: every way to have a gate obeys the same PLANTOOD_* variables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from plantood.verdict import Verdict
from tests.service import tiny_gate
from tests.service.server import ROOT, SAMPLES, Server, environment, serving

PLANT = SAMPLES / "maize_leaf.jpg"
SETTINGS = {
    "PLANTOOD_GATE": "plantood-gate:tiny",
    "PLANTOOD_POLICY": "plant_threshold=0.9999",
    "PLANTOOD_LANGUAGE": "fr",
    "PLANTOOD_MAX_MEGAPIXELS": "2",
}
"""Not the newest gate of the store, and nothing as it is by default."""
IN_PROCESS = """
import sys
from plantood import Gate
print(Gate.load().check(sys.argv[1]).model_dump_json())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the tiny gate, and a newer one."""
    home = tmp_path_factory.mktemp("configured")
    tiny_gate.save(home, "tiny", "newest")
    return home


@pytest.fixture(scope="module")
def gate(home: Path) -> Iterator[Server]:
    with serving(home, **SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def detector(home: Path, gate: Server) -> Iterator[Server]:
    settings = SETTINGS | {"GATE_URL": gate.url}
    with serving(home, "tests.compose.detectors:Detector", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def legacy(home: Path) -> Iterator[Server]:
    with serving(home, "tests.compose.legacy:service", **SETTINGS) as server:
        yield server


def _run(home: Path, *command: str) -> Any:
    command = (sys.executable, *command)
    variables = environment(home, **SETTINGS)
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)


def _post(server: Server, path: str, field: str, photo: Path, **data: str) -> Any:
    files = {field: ("photo.jpg", photo.read_bytes(), "image/jpeg")}
    answer = httpx.post(f"{server.url}/{path}", files=files, data=data, timeout=60)
    return answer.raise_for_status().json()


Ask = Callable[[pytest.FixtureRequest, Path], Any]


def _by_detector(way: str) -> Ask:
    return lambda request, photo: _post(
        request.getfixturevalue("detector"), "verdict", "photo", photo, way=way
    )


WAYS: dict[str, Ask] = {
    "in process": lambda request, photo: _run(
        request.getfixturevalue("home"), "-c", IN_PROCESS, str(photo)
    ),
    "command": lambda request, photo: _run(
        request.getfixturevalue("home"), "-m", "plantood", "check", "--json", str(photo)
    ),
    "http": lambda request, photo: _post(request.getfixturevalue("gate"), "check", "image", photo),
    "depends on the gate": _by_detector("service"),
    "depends on the scorer": _by_detector("scorer"),
    "depends on a url": _by_detector("url"),
    "remote gate": _by_detector("client"),
    "gate in the service's process": _by_detector("process"),
    "decorator": lambda request, photo: _post(
        request.getfixturevalue("detector"), "by_scorer", "image", photo
    ),
    "legacy runner": lambda request, photo: (
        httpx.post(
            f"{request.getfixturevalue('legacy').url}/verdict",
            content=photo.read_bytes(),
            headers={"Content-Type": "image/jpeg"},
            timeout=60,
        )
        .raise_for_status()
        .json()
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_obeys_it(way: str, request: pytest.FixtureRequest) -> None:
    verdict = Verdict.model_validate(
        {k: v for k, v in WAYS[way](request, PLANT).items() if k != "photo"}
    )
    assert verdict.model == "plantood-gate:tiny"
    assert verdict.threshold == 0.9999
    assert [reason.code for reason in verdict.reasons] == ["not_a_plant"]
    assert verdict.reasons[0].message.startswith("Nous ne voyons pas de plante"), verdict.reasons[
        0
    ].message
    assert verdict.plant_probability == pytest.approx(0.9454, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PLANTOOD_POLICY", "plant_threshold=high", "PLANTOOD_POLICY='plant_threshold=high'"),
        ("PLANTOOD_GATE", "plantood-gate:lost", "has no gate model plantood-gate:lost"),
    ],
)
@pytest.mark.parametrize("command", [["-c", IN_PROCESS], ["-m", "plantood", "check"]])
def test_a_wrong_value_is_said_in_one_sentence(
    name: str, value: str, says: str, command: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, *command, str(PLANT)],
        env=environment(tmp_path, **{name: value}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert says in done.stderr.splitlines()[-1]
