"""The documents' own files in another team's project: built, and served where nothing else is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from uv import find_uv_bin

from tests.compose.test_examples import EXAMPLES, WAYS, assert_it_judges
from tests.service.server import ROOT, SAMPLES, Server, launch, running
from tests.standalone import clean_environment

BENTOFILE = """
service: "{service}"
include: ["*.py"]
python:
  lock_packages: false
  packages: [plantood]
"""


@dataclass(frozen=True)
class Team:
    """Another team's machine: an environment with the wheel in it, and no checkout."""

    folder: Path

    def run(self, *command: str, folder: Path, home: Path, **variables: str) -> str:
        """Run a command of the environment; what it printed."""
        done = subprocess.run(
            self.command(*command),
            cwd=folder,
            env=self.environment(home, **variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def command(self, *command: str) -> list[str]:
        return [str(self.folder / "environment" / "bin" / "python"), "-m", *command]

    def environment(self, home: Path, **variables: str) -> dict[str, str]:
        return clean_environment(BENTOML_HOME=str(home), **variables)


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    folder = tmp_path_factory.mktemp("team")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    source = folder / "source"  # not the checkout itself, where a build would leave its traces
    source.mkdir()
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    shutil.copytree(ROOT / "plantood", source / "plantood")
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("plantood-*.whl")
    python = folder / "environment" / "bin" / "python"
    subprocess.run(
        [find_uv_bin(), "venv", "--quiet", "--python", sys._base_executable, python.parents[1]],
        check=True,
    )
    install = [find_uv_bin(), "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run(
        [*install, "-c", str(ROOT / "constraints.txt"), str(wheel), "uv"],  # as BentoML would do
        check=True,
    )
    return Team(folder)


def _built(
    team: Team, project: Path, work: Path, service: str, **variables: str
) -> tuple[str, Path]:
    """Build a project's bento and import it into an empty store: its tag, and the store."""
    (project / "bentofile.yaml").write_text(BENTOFILE.format(service=service))
    builder, home, archive = work / "builder", work / "home", work / "bento.tar"
    built = team.run("bentoml", "build", "-o", "tag", folder=project, home=builder, **variables)
    tag = built.rsplit("__tag__:", 1)[1].strip()
    team.run("bentoml", "export", tag, str(archive), folder=work, home=builder)
    shutil.rmtree(project)
    team.run("bentoml", "import", str(archive), folder=work, home=home)
    return tag, home


@pytest.mark.parametrize("name", WAYS)
def test_it_is_built_and_served_from_an_empty_store(
    name: str, team: Team, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    variables: dict[str, str] = {}
    if name == "elsewhere":
        gate: Server = request.getfixturevalue("elsewhere")
        variables["GATE_URL"] = gate.url
    legacy = name == "legacy_runner"
    project = tmp_path / "project"
    project.mkdir()
    for file in (f"{name}.py", "my_detector.py"):
        shutil.copy(EXAMPLES / file, project)
    service = f"{name}:{'service' if legacy else 'Detector'}"
    tag, home = _built(team, project, tmp_path, service, **variables)
    process, server = launch(
        team.command("bentoml", "serve", tag),
        cwd=tmp_path,
        environment=team.environment(home, **variables),
        log=tmp_path / "serve.log",
    )

    def post(photo: str) -> httpx.Response:
        data = (SAMPLES / f"{photo}.jpg").read_bytes()
        if legacy:
            kind = {"Content-Type": "image/jpeg"}
            url = f"{server.url}/diagnose_photo"
            return httpx.post(url, content=data, headers=kind, timeout=60)
        files = {"photo": ("photo.jpg", data, "image/jpeg")}
        return httpx.post(f"{server.url}/diagnose", files=files, timeout=60)

    with running(process, server):
        server.wait_until_ready()
        document = httpx.get(f"{server.url}/docs.json").raise_for_status().json()
        assert ("/diagnose_photo" if legacy else "/diagnose") in document["paths"]
        assert_it_judges(name, post)
    assert "Traceback" not in server.output


def test_a_bento_judges_by_the_gate_that_it_packs(team: Team, tmp_path: Path) -> None:
    """And not by a newer one of the machine."""
    project = tmp_path / "project"
    project.mkdir()
    for file in ("in_process.py", "my_detector.py"):
        shutil.copy(EXAMPLES / file, project)
    tag, home = _built(team, project, tmp_path, "in_process:Detector")
    subprocess.run(
        [sys.executable, "-m", "tests.service.tiny_gate", "newest"],
        env=team.environment(home),
        cwd=ROOT,
        check=True,
    )
    process, server = launch(
        team.command("bentoml", "serve", tag),
        cwd=tmp_path,
        environment=team.environment(home),
        log=tmp_path / "serve.log",
    )
    with running(process, server):
        server.wait_until_ready()
        files = {"photo": ("photo.jpg", (SAMPLES / "bare_soil.jpg").read_bytes(), "image/jpeg")}
        verdict = httpx.post(f"{server.url}/diagnose", files=files, timeout=60).json()
    assert verdict["model"] == "plantood-gate:starter"


LOADS_ITSELF = """
import bentoml
from plantood import Gate
from plantood.compose import GatedService, gated

@bentoml.service(service_class=GatedService)
class Detector:
    def __init__(self) -> None:
        self.gate = Gate.load()

    @bentoml.api
    @gated
    def diagnose(self, image: bytes) -> str:
        return "rust"
"""


def test_a_gate_that_is_in_no_bento_is_not_replaced_by_what_the_machine_has(
    team: Team, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "service.py").write_text(LOADS_ITSELF)
    tag, home = _built(team, project, tmp_path, "service:Detector")
    process, server = launch(
        team.command("bentoml", "serve", tag),
        cwd=tmp_path,
        environment=team.environment(home),
        log=tmp_path / "serve.log",
    )
    with running(process, server):
        process.wait(40)
    assert "This bento packs no gate model" in server.output
    assert "Traceback" not in server.output
