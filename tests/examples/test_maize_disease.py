"""The example is a project of its own: its tests pass, and its bento stands alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

import plantood
from plantood.bento.packing import GATE_LABEL, SHA256_LABEL
from plantood.model.entry import MANIFEST, sha256
from plantood.model.starter import starter_dir
from plantood.training.common.shared import VARIABLE, shared_dir
from plantood.verdict import Verdict
from tests import standalone
from tests.service.server import ROOT, Server, environment
from tests.standalone import Standalone

EXAMPLE = ROOT / "examples" / "maize_disease"
PHOTOS = EXAMPLE / "photos"
WHEEL = f"plantood-{plantood.__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example outside the checkout, with plantood as a wheel."""
    folder = tmp_path_factory.mktemp("project")
    leave = shutil.ignore_patterns("__pycache__", "build", "wheels", "*.egg-info", ".*_cache")
    project = shutil.copytree(EXAMPLE, folder / "maize_disease", ignore=leave)
    source = standalone.copy_sources(folder / "plantood")
    subprocess.run(
        ["make", "wheel", f"PYTHON={sys.executable}", f"PLANTOOD={source}"],
        cwd=project,
        check=True,
    )
    return project


@pytest.fixture(scope="module")
def bento(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Standalone:
    work = tmp_path_factory.mktemp("bento")
    subprocess.run(
        [sys.executable, "store_model.py"],
        cwd=project,
        env=environment(work / "builder"),
        check=True,
    )
    return standalone.install(project, work)


@pytest.fixture(scope="module")
def server(bento: Standalone) -> Iterator[Server]:
    with standalone.serving(bento, PLANTOOD_GATE_TIMEOUT_S="2") as server:
        yield server


def diagnose(server: Server, photo: str) -> httpx.Response:
    files = {"photo": (PHOTOS / f"{photo}.jpg").read_bytes()}
    return httpx.post(f"{server.url}/diagnose", files=files, timeout=60)


def test_the_bento_packs_both_models_and_the_wheel(bento: Standalone) -> None:
    about = yaml.safe_load((bento.bento / "bento.yaml").read_text())
    packed = {model["tag"] for service in about["services"] for model in service["models"]}
    assert packed == {"plantood-gate:starter", "maize_disease:1"}
    assert about["labels"][GATE_LABEL] == "plantood-gate:starter"
    assert about["labels"][SHA256_LABEL] == sha256(starter_dir() / MANIFEST)
    assert [path.name for path in (bento.bento / "env/python/wheels").iterdir()] == [WHEEL]
    sources = {path.name for path in (bento.bento / "src").iterdir()}
    assert sources == {"service.py", "detector.py", "bentofile.yaml"}


def test_it_diagnoses_leaves_alone_and_asks_for_another_photo_of_soil(server: Server) -> None:
    assert diagnose(server, "common_rust").raise_for_status().json()["disease"] == "common_rust"
    assert diagnose(server, "healthy").raise_for_status().json()["disease"] == "healthy"
    soil = Verdict.model_validate(diagnose(server, "bare_soil").raise_for_status().json())
    assert (soil.verdict, soil.reasons[0].code) == ("retake", "not_a_plant")
    assert soil.reasons[0].message.startswith("We cannot see a plant")


def test_nothing_of_the_checkout_is_reachable(bento: Standalone, server: Server) -> None:
    assert standalone.traces_of_checkout(server) == []
    run = subprocess.run(
        [str(bento.python), "-c", "import plantood, sys; print(plantood.__file__, *sys.path)"],
        cwd=bento.bento / "src",
        env=environment(bento.home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(f"{bento.environment}/lib/python")
    assert str(ROOT) not in run.stdout


def test_a_killed_scorer_is_503_and_then_it_comes_back(server: Server) -> None:
    (scorer,) = server.workers("PlantScorer")
    scorer.kill()
    started = time.monotonic()
    answer = diagnose(server, "healthy")
    assert time.monotonic() - started < 20
    assert answer.status_code == 503
    assert "again" in answer.json()["error"]
    server.wait_until_ready()
    assert diagnose(server, "healthy").json()["disease"] == "healthy"
    assert diagnose(server, "bare_soil").json()["verdict"] == "retake"
    assert standalone.traces_of_checkout(server) == []


def test_its_own_tests_pass() -> None:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "BENTOML_HOME"))
    }
    if (shared := shared_dir()) is not None:
        environment[VARIABLE] = str(shared)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=EXAMPLE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert re.search(r"\d+ passed", ran.stdout)


def test_it_names_the_present_version_of_plantood() -> None:
    bentofile = yaml.safe_load((EXAMPLE / "bentofile.yaml").read_text())
    assert bentofile["python"]["wheels"] == [f"wheels/{WHEEL}"]
    assert f"wheels/{WHEEL}" in (EXAMPLE / "Makefile").read_text()
    requirement = f"plantood=={plantood.__version__}"
    assert requirement in (EXAMPLE / "pyproject.toml").read_text()


def test_its_copies_are_those_of_the_gate() -> None:
    def pins(path: Path) -> list[str]:
        return [line for line in path.read_text().splitlines() if not line.startswith("#")]

    assert pins(EXAMPLE / "requirements.txt") == pins(ROOT / "requirements.txt")
    template = "Dockerfile.template"
    ours = (ROOT / "deploy" / "container" / template).read_text()
    assert (EXAMPLE / template).read_text() == ours


def test_its_readme_shows_its_code_and_its_commands() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) < 80  # one page
    service = (EXAMPLE / "service.py").read_text()
    snippet = readme.split("```python\n")[1].split("```")[0]
    lines = [line.split("  # ")[0].strip() for line in snippet.splitlines()]
    for line in filter(None, lines):
        assert line == "..." or line in service, line
    commands = set(re.findall(r"^(\w+):", (EXAMPLE / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)\b", readme)) - {"are"} <= commands
    files = re.findall(r"^\| (`.*?) \|", readme, re.MULTILINE)
    named = re.findall(r"`([\w/.]+)`", " ".join(files))
    assert {"service.py", "model/", "train/"} <= set(named)
    for name in [*named, *re.findall(r"\]\(([\w/.]+)\)", readme)]:
        assert (EXAMPLE / name).exists(), name


def test_it_takes_no_way_around_the_installed_package() -> None:
    folders = (EXAMPLE, EXAMPLE / "train", EXAMPLE / "tests")
    for path in (path for folder in folders for path in folder.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"sys\.path|PYTHONPATH|from training|import training", source), path
