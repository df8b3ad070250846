"""The documents' own files in another team's project: built, and served where nothing else is."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from uv import find_uv_bin

from tests import standalone
from tests.compose.examples import EXAMPLES, TARGETS, assert_it_judges, diagnose
from tests.service import tiny_gate
from tests.service.server import ROOT, Server, environment, launch

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
            self._command(*command),
            cwd=folder,
            env=environment(home, **variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(
        self, tag: str, home: Path, **variables: str
    ) -> contextlib.AbstractContextManager[Server]:
        """Serve a bento of a store."""
        command = self._command("bentoml", "serve", tag)
        variables = environment(home, **variables)
        return launch(command, folder=home, environment=variables, log=home / "serve.log")

    def _command(self, *command: str) -> list[str]:
        return [str(self.folder / "environment" / "bin" / "python"), "-m", *command]


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    folder = tmp_path_factory.mktemp("team")
    wheel = standalone.wheel(folder)
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


def _project(work: Path, name: str) -> Path:
    """Another team's folder with one of the examples."""
    project = work / "project"
    project.mkdir()
    for file in (f"{name}.py", "my_detector.py"):
        shutil.copy(EXAMPLES / file, project)
    return project


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


@pytest.mark.parametrize("name", TARGETS)
def test_it_is_built_and_served_from_an_empty_store(
    name: str, team: Team, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    variables: dict[str, str] = {}
    if name == "elsewhere":
        gate: Server = request.getfixturevalue("elsewhere")
        variables["GATE_URL"] = gate.url
    project = _project(tmp_path, name)
    tag, home = _built(team, project, tmp_path, TARGETS[name], **variables)
    with team.start(tag, home, **variables) as server:
        server.wait_until_ready()
        document = httpx.get(f"{server.url}/docs.json").raise_for_status().json()
        assert {"/diagnose", "/diagnose_photo"} & document["paths"].keys()
        assert_it_judges(name, server)


def test_a_bento_judges_by_the_gate_that_it_packs(team: Team, tmp_path: Path) -> None:
    """And not by a newer one of the machine."""
    name = "in_process"
    tag, home = _built(team, _project(tmp_path, name), tmp_path, TARGETS[name])
    tiny_gate.save(home, "newest")
    with team.start(tag, home) as server:
        server.wait_until_ready()
        verdict = diagnose(name, server, "bare_soil").json()
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
    with team.start(tag, home) as server:
        assert server.supervisor.wait(40) == 1
    assert "This bento packs no gate model" in server.output
    assert "Traceback" not in server.output
