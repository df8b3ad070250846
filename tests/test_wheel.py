"""The wheel in an empty environment, as an outside team has it: it judges, serves, learns, packs.

With the oldest BentoML that is allowed, and with the one that is locked. Nothing of the checkout is
needed: an audit hook notes every file that any Python process opens there.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from uv import find_uv_bin

import plantood
from plantood.bentoml_private import OLDEST
from plantood.cli import COMMANDS
from plantood.model.starter import starter_dir
from tests import standalone
from tests.photos import encode, scene
from tests.service.server import ROOT, SAMPLES, environment, launch

LOCKED = re.search(r"^bentoml==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
VERSIONS = sorted({".".join(map(str, OLDEST)), LOCKED})
PROJECT = {
    "my_detector.py": (ROOT / "examples" / "compose" / "my_detector.py").read_text(),
    "service.py": (ROOT / "examples" / "compose" / "decorated.py").read_text(),
    "bentofile.yaml": """
service: "service:Detector"
include: ["*.py"]
python:
  lock_packages: false
  packages: [plantood]
""",
}


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and a Bento store of its own."""

    folder: Path
    bentoml: str
    wheel: Path

    @property
    def python(self) -> Path:
        return self.folder / "environment" / "bin" / "python"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def install(self, *requirements: str) -> None:
        """Install into it, all but BentoML in its locked version."""
        constraints = self.folder / "constraints.txt"
        others = (ROOT / "constraints.txt").read_text().replace(f"bentoml=={LOCKED}\n", "")
        constraints.write_text(others)
        command = [find_uv_bin(), "pip", "install", "--quiet", "--python", str(self.python)]
        fixed = ["-c", str(constraints), f"bentoml=={self.bentoml}"]
        subprocess.run([*command, *fixed, *requirements], check=True)

    def ask(self, *command: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess:
        """Run a command; it must open nothing of the checkout."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder or self.folder,
            env=environment(self.home, TF_CPP_MIN_LOG_LEVEL="3"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "OPENED" not in done.stderr, done.stderr
        return done

    def run(self, *command: str, folder: Path | None = None) -> str:
        """What `python -m COMMAND` prints; it must end well."""
        done = self.ask(self.python, "-m", *command, folder=folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return standalone.wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=VERSIONS)
def serving_only(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """Without the trainer's packages, until `installed` is asked for."""
    installed = Installed(tmp_path_factory.mktemp("installed"), request.param, wheel)
    place = installed.python.parents[1]
    subprocess.run(
        [find_uv_bin(), "venv", "--quiet", "--python", sys._base_executable, place], check=True
    )
    installed.install(str(wheel), "uv")
    standalone.audit(place)
    return installed


@pytest.fixture(scope="module")
def installed(serving_only: Installed) -> Installed:
    """With the trainer's packages in it."""
    serving_only.install(f"{serving_only.wheel}[training]")
    return serving_only


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few drawn photos of each class: green leaves, and grey noise."""
    folder = tmp_path_factory.mktemp("drawn")
    for seed in range(30):
        green = scene(96, 96, seed)
        grey = scene(96, 96, seed + 100).convert("L")
        for label, photo in (("plant", green), ("other", grey)):
            (folder / label).mkdir(exist_ok=True)
            (folder / label / f"{seed}.jpg").write_bytes(encode(photo))
    return folder


def test_it_has_the_version_that_the_code_and_the_changes_name(wheel: Path) -> None:
    assert wheel.name.startswith(f"plantood-{plantood.__version__}-")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?(\d[^\] ]*)", changes, re.MULTILINE)
    assert newest[1] == plantood.__version__


def test_it_has_one_package_with_all_that_the_checkout_has(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    wanted = {
        name if name.startswith("plantood/") else f"plantood/{name}"
        for folder in ("plantood", "training")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        for name in [str(path.relative_to(ROOT))]
    }
    assert {name.split("/")[0] for name in names} == {"plantood"}
    assert wanted == names


def test_the_tutorial_knows_its_size_and_the_model_s(wheel: Path) -> None:
    page = (ROOT / "docs" / "tutorial-bento.md").read_text(encoding="utf-8")
    told = re.search(r"bento has ([\d.]+) MiB, [^.]*\s([\d.]+) MiB of model beside it", page)
    model = sum(file.stat().st_size for file in starter_dir().iterdir())
    for size, shown in zip((wheel.stat().st_size, model), told.groups(), strict=True):
        assert size / 2**20 == pytest.approx(float(shown), abs=0.1)


def test_without_its_extra_training_says_what_to_install(
    serving_only: Installed, photos: Path
) -> None:
    """The first of all: the others have the extra installed."""
    script = serving_only.python.with_name("plantood")
    done = serving_only.ask(script, "train", photos)
    (said,) = done.stderr.splitlines()
    assert re.fullmatch(
        r"Error: `plantood train` needs \w+, which is not installed: "
        r"install plantood anew .*, as in pip install \"\./plantood\[training\]\"\.",
        said,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "leave-one-out" in serving_only.ask(script, "--help").stdout


def test_a_photo_is_judged(serving_only: Installed) -> None:
    photo = shutil.copy(SAMPLES / "maize_leaf.jpg", serving_only.folder)
    script = serving_only.python.with_name("plantood")
    judged = [
        serving_only.ask(script, "check", "--json", photo).stdout,
        serving_only.run("plantood", "check", "--json", photo),
    ]
    for lines in judged:
        (line,) = lines.splitlines()
        assert json.loads(line)["verdict"] == "accept"


def test_a_gate_learns_a_field_and_judges(
    serving_only: Installed, photos: Path, tmp_path: Path
) -> None:
    for label in ("plant", "other"):
        shutil.copytree(photos / label, tmp_path / label, ignore=lambda _, names: sorted(names)[2:])
    photo = str(tmp_path / "plant" / "0.jpg")
    serving_only.run("plantood", "check", photo, "--json")  # puts the starter into the store
    options = ["--gate-name", "my-field", "--force"]  # drawn photos prove nothing
    told = serving_only.run("plantood", "adapt", "plantood-gate:starter", str(tmp_path), *options)
    child = re.search(r"^Saved as (my-field:\S+)$", told, re.MULTILINE)[1]
    listed = json.loads(serving_only.run("plantood", "models", "--json"))
    assert (listed[0]["tag"], listed[0]["damage"]) == (child, None)
    judged = serving_only.run("plantood", "check", "--json", "--gate", child, photo)
    assert json.loads(judged)["model"] == child


def test_it_is_served(serving_only: Installed) -> None:
    photo = (SAMPLES / "maize_leaf.jpg").read_bytes()
    command = [str(serving_only.python.with_name("plantood")), "serve"]
    with launch(
        command,
        folder=serving_only.folder,
        environment=environment(serving_only.home),
        log=serving_only.folder / "serve.log",
    ) as server:
        server.wait_until_ready()
        verdict = httpx.post(f"{server.url}/check", content=photo, timeout=60).json()
        page = httpx.get(server.url)
        assert not standalone.traces_of_checkout(server)
    assert verdict["verdict"] == "accept"
    assert page.status_code == 200


def test_it_trains_and_lists_what_it_trained(installed: Installed, photos: Path) -> None:
    options = ["--backbone", "efficientnet_lite0", "--weights", "starter", "--heads", "gap,v1"]
    options += ["--epochs", "1", "--no-fine-tune", "--min-per-class", "5", "--save", "all"]
    installed.run("plantood", "train", str(photos), *options)
    listed = json.loads(installed.run("plantood", "models", "--json"))
    assert {gate["head"] for gate in listed[:2]} == {"gap", "v1"}  # a linear one has no epochs
    assert {gate["damage"] for gate in listed} == {None}
    report = next((installed.folder / "runs").rglob("report.html"))
    assert "<svg" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there(installed: Installed, command: str) -> None:
    assert "--help" in installed.run("plantood", command, "--help")


def test_a_project_of_three_files_becomes_a_bento(installed: Installed, tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    built = installed.run("bentoml", "build", "-o", "tag", folder=tmp_path)
    name, version = built.rsplit("__tag__:", 1)[1].strip().split(":")
    bento = installed.home / "bentos" / name / version
    assert "plantood-gate" in (bento / "bento.yaml").read_text()
    assert {path.name for path in (bento / "src").glob("*.py")} == {"my_detector.py", "service.py"}
