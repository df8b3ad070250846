"""The gate's bento: what `bentoml build` packs, and that it stands alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import bentoml
import httpx
import psutil
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from plantood.bento.packing import GATE_LABEL, SHA256_LABEL
from plantood.model.entry import MANIFEST, sha256
from plantood.model.starter import starter_dir
from tests import standalone
from tests.service import tiny_gate
from tests.service.server import ROOT, SAMPLES, Server, environment
from tests.standalone import Standalone

PACKAGE = ROOT / "plantood"
NOT_PACKED = {"model/starter/gate", "model/starter/samples"}


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Standalone:
    return standalone.install(ROOT, tmp_path_factory.mktemp("bento"))


@pytest.fixture(scope="module")
def server(bento: Standalone) -> Iterator[Server]:
    """The bento served by itself, on a machine whose store also has a newer gate."""
    tiny_gate.save(bento.home, "newest")
    with standalone.serving(bento) as server:
        yield server


def test_what_is_packed(bento: Standalone) -> None:
    sources = {str(path.relative_to(bento.bento / "src")) for path in _files(bento.bento / "src")}
    package = {
        f"plantood/{path.relative_to(PACKAGE)}"
        for path in _files(PACKAGE)
        if "__pycache__" not in path.parts
        and str(path.relative_to(PACKAGE).parent) not in NOT_PACKED
    }
    assert sources == {"service.py", "bentofile.yaml"} | package
    folders = {path.relative_to(bento.bento).parts[0] for path in _files(bento.bento)}
    assert folders == {"src", "env", "apis", "bento.yaml", "README.md"}
    assert sum(path.stat().st_size for path in _files(bento.bento)) < 2_000_000


def test_it_says_what_it_is_and_which_gate_it_has(bento: Standalone) -> None:
    about = yaml.safe_load((bento.bento / "bento.yaml").read_text())
    packed = {model["tag"] for service in about["services"] for model in service["models"]}
    assert packed == {"plantood-gate:starter"}
    assert about["labels"] == {
        "app.kubernetes.io/name": "plantood",
        "app.kubernetes.io/component": "gate",
        GATE_LABEL: "plantood-gate:starter",
        SHA256_LABEL: sha256(starter_dir() / MANIFEST),
    }
    readme = (bento.bento / "README.md").read_text(encoding="utf-8")
    assert readme == (ROOT / "README.md").read_text(encoding="utf-8")


def test_another_gate_is_packed_by_its_tag(tmp_path: Path) -> None:
    home = tmp_path / "home"
    tiny_gate.save(home, "mine")
    tag = standalone.build(ROOT, home, PLANTOOD_GATE="plantood-gate:mine")
    about = yaml.safe_load((home / "bentos" / tag.replace(":", "/") / "bento.yaml").read_text())
    assert about["labels"][GATE_LABEL] == "plantood-gate:mine"
    assert {m["tag"] for s in about["services"] for m in s["models"]} == {"plantood-gate:mine"}


def test_the_locked_packages_are_those_of_the_tests_and_all_that_serving_needs() -> None:
    locked = _pins(ROOT / "requirements.txt")
    tested = _pins(ROOT / "constraints.txt")
    assert {name: tested[name] for name in locked if name in tested} == {
        name: version for name, version in locked.items() if name in tested
    }
    needed = _needed_for_serving()
    assert needed <= set(locked)
    only_elsewhere = {"cffi", "pycparser"}  # on PyPy
    assert set(locked) - needed <= only_elsewhere
    assert not {"tensorflow", "keras", "pytest", "matplotlib"} & set(locked)


@pytest.mark.parametrize("project", [".", "examples/maize_disease"])
def test_every_locked_file_has_its_hash(project: str) -> None:
    hashes = _hashes(ROOT / project / "requirements.txt")
    assert set(hashes) == set(_pins(ROOT / project / "requirements.txt"))
    assert all(hashes.values())
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for file in hashes.values() for digest in file)


def test_the_tool_that_verifies_them_is_verified() -> None:
    template = (ROOT / "deploy" / "container" / "Dockerfile.template").read_text()
    pinned = re.search(r'{% set uv = "(.*)" %}', template)[1].split()
    assert pinned[0] == f"uv=={_pins(ROOT / 'constraints.txt')['uv']}"
    assert len(pinned) > 2
    assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", option) for option in pinned[1:])
    assert template.index("command -v uv") < template.index("super()")


def test_the_bento_installs_the_locked_files_and_nothing_else(bento: Standalone) -> None:
    packed = bento.bento / "env" / "python"
    assert _pins(packed / "requirements.txt") == _pins(ROOT / "requirements.txt")
    assert _hashes(packed / "requirements.txt") == _hashes(ROOT / "requirements.txt")
    script = (packed / "install.sh").read_text()
    assert "PIP_ARGS=(--no-deps --only-binary :all:)" in script


@pytest.mark.parametrize("tampered", ["simple-di", "bentoml"])  # BentoML adds the latter itself
def test_a_file_with_another_hash_is_not_installed(
    bento: Standalone, tmp_path: Path, tampered: str
) -> None:
    packed = shutil.copytree(bento.bento / "env" / "python", tmp_path / "python")
    requirements = packed / "requirements.txt"
    for digest in _hashes(requirements)[tampered]:
        requirements.write_text(requirements.read_text().replace(digest, "0" * 64))
    inside = environment(
        bento.home,
        VIRTUAL_ENV=str(tmp_path / "environment"),
        PATH=f"{Path(find_uv_bin()).parent}:{os.environ['PATH']}",
    )
    subprocess.run(["uv", "venv", tmp_path / "environment"], env=inside, check=True)
    installed = subprocess.run(
        ["bash", packed / "install.sh"], env=inside, capture_output=True, text=True, check=False
    )
    assert installed.returncode != 0
    assert f"Hash mismatch for `{tampered}==" in installed.stderr


def test_the_bento_has_the_locked_packages_and_bentoml(bento: Standalone) -> None:
    code = "from importlib.metadata import distributions\n"
    code += "print(*(found.metadata['Name'] for found in distributions()))"
    installed = subprocess.run(
        [str(bento.python), "-c", code],
        cwd=bento.home,
        env=environment(bento.home),
        capture_output=True,
        text=True,
        check=True,
    )
    names = {canonicalize_name(name) for name in installed.stdout.split()}
    assert not {"plantood", "tensorflow", "keras", "pip"} & names


def test_it_judges_photos_alone(server: Server) -> None:
    plant, soil = (
        httpx.post(f"{server.url}/check", content=(SAMPLES / name).read_bytes(), timeout=60).json()
        for name in ("maize_leaf.jpg", "bare_soil.jpg")
    )
    assert plant["verdict"] == "accept"
    assert (soil["verdict"], soil["reasons"][0]["code"]) == ("retake", "not_a_plant")
    # the gate that it packs, though the store has a newer one
    assert plant["model"] == soil["model"] == "plantood-gate:starter"
    assert httpx.get(f"{server.url}/").status_code == 200
    assert httpx.get(f"{server.url}/model").json()["model"] == "plantood-gate:starter"


def test_nothing_of_the_checkout_is_reachable(bento: Standalone, server: Server) -> None:
    assert standalone.traces_of_checkout(server) == []
    code = "import plantood, plantood.service, sys; print(plantood.__file__, *sys.path)"
    run = subprocess.run(
        [str(bento.python), "-c", code],
        cwd=bento.bento / "src",
        env=environment(bento.home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(f"{bento.bento}/src/plantood/__init__.py")
    assert str(ROOT) not in run.stdout
    assert "OPENED" not in run.stderr


def test_what_finds_traces_of_the_checkout_finds_them(bento: Standalone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:  # in the bento's environment, but at home in the checkout
        process = subprocess.Popen(
            [str(bento.python), "-c", "open('README.md').close(); input()"],
            cwd=ROOT,
            env=environment(bento.home),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        while not log.stat().st_size and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        traces = standalone.traces_of_checkout(Server("", log, psutil.Process(process.pid)))
    finally:
        process.communicate(b"\n")
    assert f"OPENED {ROOT}/README.md" in traces
    assert f"{process.pid}: {ROOT}" in traces  # its working folder


def _dockerfile(bento: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The Dockerfile that `bentoml containerize` would build of a bento."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.container import construct_containerfile
    from bentoml._internal.models import ModelStore

    monkeypatch.chdir("/")  # BentoML issue 5566
    store = BentoMLContainer.model_store
    before = store.get()
    store.set(ModelStore(home / "models"))
    try:
        packed = bentoml.bentos.Bento.from_path(str(bento))
        with construct_containerfile(packed, enable_buildkit=False) as (_, file):
            return Path(file).read_text()
    finally:
        store.set(before)


def test_a_base_image_may_be_named_by_its_digest(
    bento: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = f"sha256:{'0123456789abcdef' * 4}"
    copy = shutil.copytree(bento.bento, tmp_path / "bento")
    about = yaml.safe_load((copy / "bento.yaml").read_text())
    about["docker"] |= {"base_image": f"python:3.11-slim@{digest}", "distro": None}
    (copy / "bento.yaml").write_text(yaml.safe_dump(about))
    lines = _dockerfile(copy, bento.home, monkeypatch).splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert [stage.split()[1] for stage in stages] == [f"python:3.11-slim@{digest}"] * 2
    assert 'LABEL org.opencontainers.image.base.name="python:3.11-slim"' in lines
    assert f'LABEL org.opencontainers.image.base.digest="{digest}"' in lines


def test_the_dockerfile_leaves_behind_what_serving_does_not_need(
    bento: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, final = _dockerfile(bento.bento, bento.home, monkeypatch).split("\nFROM ")[-2:]
    assert build.split()[2] == "build"
    assert "pip install --no-cache-dir --only-binary :all: -r /tmp/uv.txt" in build
    assert "image.base.digest" not in final
    text = f"{build}\n{final}"
    assert not re.search(r"build-essential|\bgcc\b|\bgit\b|apt-get", text)
    assert "install" not in final
    lines = final.splitlines()
    assert "USER 1034:1034" in lines
    assert lines.index("USER 1034:1034") > max(
        i for i, line in enumerate(lines) if line.startswith("COPY")
    )
    assert f'plantood.gate.sha256="{sha256(starter_dir() / MANIFEST)}"' in final
    assert 'plantood.gate="plantood-gate:starter"' in final
    assert "ENV PLANTOOD_GATE=plantood-gate:starter" in lines
    assert f"ENV PLANTOOD_GATE_SHA256={sha256(starter_dir() / MANIFEST)}" in lines


def test_the_image_s_health_check_knows_a_service_that_is_down(
    bento: Standalone, server: Server
) -> None:
    template = (ROOT / "deploy" / "container" / "Dockerfile.template").read_text()
    code = re.search(r'HEALTHCHECK .*?"-c", \\\s+"(.*?)"\]', template, re.DOTALL)[1]

    def check(port: str) -> int:
        variables = environment(bento.home, PORT=port)
        return subprocess.run(
            [str(bento.python), "-c", code], env=variables, check=False
        ).returncode

    assert check(str(server.address[1])) == 0
    assert check("9") != 0


def test_another_gate_is_served_only_if_it_is_pinned_too(
    bento: Standalone, server: Server, tmp_path: Path
) -> None:
    """Last, since what it starts writes over the log of ``server``."""
    newest = "plantood-gate:newest"  # in the store, beside the one that the bento packs
    with pytest.raises(AssertionError) as refused, standalone.serving(bento, PLANTOOD_GATE=newest):
        pass
    sentence = f"{newest} is not the gate model that PLANTOOD_GATE_SHA256 pins"
    assert sentence in str(refused.value)
    assert "Traceback" not in str(refused.value)
    digest = sha256(bento.home / "models" / newest.replace(":", "/") / MANIFEST)
    pinned = {"PLANTOOD_GATE": newest, "PLANTOOD_GATE_SHA256": digest}
    with standalone.serving(bento, **pinned) as other:
        assert httpx.get(f"{other.url}/model").json()["model"] == newest


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _requirements(path: Path) -> list[str]:
    """The requirements of a file, each with its options in one line."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _pins(path: Path) -> dict[str, str]:
    """Canonical name and pinned version of every package in a requirements file."""
    requirements = [Requirement(line.split(" --hash=")[0]) for line in _requirements(path)]
    assert all([s.operator for s in r.specifier] == ["=="] for r in requirements)
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in requirements}


def _hashes(path: Path) -> dict[str, list[str]]:
    """Canonical name of every package in a requirements file, and the SHA-256 of its files."""
    found: dict[str, list[str]] = {}
    for line in _requirements(path):
        name = canonicalize_name(Requirement(line.split(" --hash=")[0]).name)
        found.setdefault(name, []).extend(re.findall(r"--hash=sha256:(\S+)", line))
    return found


def _needed_for_serving() -> set[str]:
    """Names of all that plantood needs to serve here, by the metadata of what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: set[str] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    while waiting:
        requirement = waiting.pop()
        extras = requirement.extras or {""}
        if requirement.marker and not requirement.marker.evaluate():
            continue
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        found.add(name)
        for line in metadata.requires(name) or ():
            needs = Requirement(line)
            if needs.marker is None or any(needs.marker.evaluate({"extra": e}) for e in extras):
                needs.marker = None
                waiting.append(needs)
    return found
