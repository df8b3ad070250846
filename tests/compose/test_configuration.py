"""One configuration: every way to have a gate obeys the same PLANTOOD_* variables."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest

from plantood.cli.output import rounded
from plantood.compose import ComposedGate
from plantood.model.entry import MANIFEST, sha256
from plantood.settings import MEBIBYTE
from plantood.verdict import Verdict
from tests.photos import encode, scene
from tests.service import tiny_gate
from tests.service.server import ROOT, SAMPLES, Server, environment, serving

PLANT = SAMPLES / "maize_leaf.jpg"
MESSAGES = {"not_a_plant": "Montrez-nous la plante.", "too_large": "Moins grande, la photo."}
LIMITS = {
    "pixels": "more than the limit of 6,000,000 pixels",
    "bytes": "more than the limit of 1,048,576 bytes",
    "memory": "take more memory in this format than the limit",
}
"""What is said of the photo that is above each."""
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
def settings(home: Path) -> dict[str, str]:
    """Not the newest gate of the store, and nothing as it is by default."""
    messages = home / "messages.json"
    messages.write_text(json.dumps({"fr": MESSAGES}))
    return {
        "PLANTOOD_GATE": "plantood-gate:tiny",
        "PLANTOOD_GATE_SHA256": sha256(home / "models" / "plantood-gate" / "tiny" / MANIFEST),
        "PLANTOOD_POLICY": "plant_threshold=0.9999",
        "PLANTOOD_LANGUAGE": "fr",
        "PLANTOOD_MESSAGES_FILE": str(messages),
        "PLANTOOD_MAX_MEGAPIXELS": "6",
        "PLANTOOD_MAX_UPLOAD_MB": "1",
        "PLANTOOD_DECODE_MEMORY_MB": "64",
    }


@pytest.fixture(scope="module")
def photos(home: Path) -> dict[str, Path]:
    """One that the network sees, and one above each of the limits."""
    made = {
        "pixels": encode(scene(3000, 2100), quality=20),
        "bytes": PLANT.read_bytes().ljust(MEBIBYTE + 1, b"\0"),  # of a path, no more is read
        "memory": encode(scene(2400, 2000), "WEBP", quality=10),
    }
    for name, photo in made.items():
        (home / name).write_bytes(photo)
    return {"plant": PLANT} | {name: home / name for name in made}


@pytest.fixture(scope="module")
def gate(home: Path, settings: dict[str, str]) -> Iterator[Server]:
    with serving(home, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def detector(home: Path, settings: dict[str, str], gate: Server) -> Iterator[Server]:
    variables = settings | {"GATE_URL": gate.url}
    with serving(home, "tests.compose.detectors:Detector", **variables) as server:
        yield server


@pytest.fixture(scope="module")
def legacy(home: Path, settings: dict[str, str]) -> Iterator[Server]:
    with serving(home, "tests.compose.legacy:service", **settings) as server:
        yield server


def _run(request: pytest.FixtureRequest, *command: str) -> Any:
    command = (sys.executable, *command)
    settings = request.getfixturevalue("settings")
    variables = environment(request.getfixturevalue("home"), **settings)
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)


def _by_http(request: pytest.FixtureRequest, photo: Path) -> Any:
    """Among several: a photo of too many bytes that comes alone is a 413."""
    (verdict,) = _post(request.getfixturevalue("gate"), "check_batch", "images", photo)
    return verdict


def _by_client(request: pytest.FixtureRequest, photo: Path) -> Any:
    with bentoml.SyncHTTPClient(request.getfixturevalue("gate").url) as client:
        verdict = asyncio.run(ComposedGate(client).check(photo.read_bytes()))
    return verdict.model_dump(mode="json")


def _post(server: Server, path: str, field: str, photo: Path, **data: str) -> Any:
    files = {field: ("photo.jpg", photo.read_bytes(), "image/jpeg")}
    answer = httpx.post(f"{server.url}/{path}", files=files, data=data, timeout=60)
    return answer.raise_for_status().json()


Ask = Callable[[pytest.FixtureRequest, Path], Any]


def _by_detector(way: str) -> Ask:
    return lambda request, photo: _post(
        request.getfixturevalue("detector"), "verdict", "photo", photo, way=way
    )


def _by_decorator(api: str) -> Ask:
    return lambda request, photo: _post(request.getfixturevalue("detector"), api, "image", photo)


WAYS: dict[str, Ask] = {
    "in process": lambda request, photo: _run(request, "-c", IN_PROCESS, str(photo)),
    "command": lambda request, photo: _run(
        request, "-m", "plantood", "check", "--json", str(photo)
    ),
    "http": _by_http,
    "client of bentoml": _by_client,
    "depends on the gate": _by_detector("service"),
    "depends on the scorer": _by_detector("scorer"),
    "depends on a url": _by_detector("url"),
    "remote gate": _by_detector("client"),
    "gate in the service's process": _by_detector("process"),
    "decorator": _by_decorator("by_scorer"),
    "decorator, gate_model": _by_decorator("by_model"),
    "decorator, depends on the gate": _by_decorator("by_service"),
    "decorator, depends on a url": _by_decorator("by_url"),
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


def _asked(way: str, request: pytest.FixtureRequest, photo: Path) -> dict[str, Any]:
    """All of a verdict but its times, in figures as the command shows them."""
    answer = WAYS[way](request, photo)
    for reason in answer["reasons"]:  # who is given a path names it
        reason["detail"] = reason["detail"] and reason["detail"].removeprefix(f"{photo}: ")
    verdict = Verdict.model_validate({k: v for k, v in answer.items() if k != "photo"})
    return rounded(verdict.model_dump(mode="json", exclude={"timings_ms"}))


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest, photos: dict[str, Path]) -> dict[str, Any]:
    """What the first of the ways says, so what all of them have to say."""
    return {name: _asked("in process", request, photo) for name, photo in photos.items()}


def test_the_first_way_obeys_it(verdicts: dict[str, Any]) -> None:
    about = {"verdict": "retake", "threshold": 0.9999, "model": "plantood-gate:tiny"}
    assert verdicts["plant"]["plant_probability"] == 0.9454
    (unlike,) = verdicts["plant"]["reasons"]
    assert (unlike["code"], unlike["message"]) == ("not_a_plant", MESSAGES["not_a_plant"])
    for name, limit in LIMITS.items():
        (too_large,) = verdicts[name]["reasons"]
        assert verdicts[name]["plant_probability"] is None
        assert (too_large["code"], too_large["message"]) == ("too_large", MESSAGES["too_large"])
        assert limit in too_large["detail"]
    assert all(about.items() <= verdict.items() for verdict in verdicts.values())


@pytest.mark.parametrize("photo", ["plant", *LIMITS])
@pytest.mark.parametrize("way", list(WAYS)[1:])
def test_all_ways_say_the_same(
    way: str,
    photo: str,
    request: pytest.FixtureRequest,
    photos: dict[str, Path],
    verdicts: dict[str, Any],
) -> None:
    assert _asked(way, request, photos[photo]) == verdicts[photo]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PLANTOOD_POLICY", "plant_threshold=high", "PLANTOOD_POLICY='plant_threshold=high'"),
        ("PLANTOOD_GATE", "plantood-gate:lost", "has no gate model plantood-gate:lost"),
        ("PLANTOOD_GATE_SHA256", "0" * 64, "not the gate model that PLANTOOD_GATE_SHA256 pins"),
        ("PLANTOOD_GATE_SHA256", "latest", "PLANTOOD_GATE_SHA256='latest'"),
        ("PLANTOOD_MESSAGES_FILE", "/nope.json", "PLANTOOD_MESSAGES_FILE: /nope.json"),
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
