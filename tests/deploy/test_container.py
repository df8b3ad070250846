"""The container script on the gate's bento, and on the example's: a real image, really run.

It takes three minutes, as root, on a machine with buildah and debootstrap; elsewhere it is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bentoml
import pytest

from deploy.container.bentos import copy_onto, photo_call
from deploy.container.buildah import ContainerError, missing
from tests import standalone
from tests.service.server import ROOT, environment

LARGEST_MB = 650
EXAMPLE = ROOT / "examples" / "maize_disease"
STORE_MODEL = "store_model.py"


@pytest.mark.skipif(bool(missing()), reason=f"this machine lacks {', '.join(missing())}")
def test_the_images_of_both_bentos(tmp_path: Path) -> None:
    home = tmp_path / "bentoml"
    variables = environment(home)
    for command in (["make", "wheel", f"PYTHON={sys.executable}"], [sys.executable, STORE_MODEL]):
        subprocess.run(command, cwd=EXAMPLE, env=variables, check=True)
    tags = [standalone.build(project, home) for project in (ROOT, EXAMPLE)]
    command = [sys.executable, "-m", "deploy.container.smoke", *tags]
    command += ["--work", str(tmp_path / "work")]
    try:
        run = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )
    finally:
        shutil.rmtree(tmp_path / "work", ignore_errors=True)  # gigabytes
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    rows = [line.split("|") for line in run.stdout.splitlines() if line.startswith("| ")]
    assert [row[1].strip() for row in rows[2:]] == [tag.partition(":")[0] for tag in tags]
    for row in rows[2:]:
        assert int(row[2]) <= LARGEST_MB


def test_what_the_machine_lacks_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.container.smoke", "plantood:latest"]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("Error: this machine lacks buildah, debootstrap")
    assert "apt-get install" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> bentoml.Bento:
    """The gate's bento, in this process's own store."""
    tag = standalone.build(ROOT, Path(os.environ["BENTOML_HOME"]))
    return bentoml.get(tag)


def test_a_bento_on_another_base_image(bento: bentoml.Bento, tmp_path: Path) -> None:
    home = tmp_path / "other"
    assert copy_onto(bento, home, "localhost/base:1") == str(bento.tag)
    copy = (home / "bentos" / bento.tag.path() / "bento.yaml").read_text()
    assert "base_image: localhost/base:1" in copy
    assert "base_image: localhost/base:1" not in (Path(bento.path) / "bento.yaml").read_text()
    assert (home / "models" / "plantood-gate" / "starter" / "gate.json").is_file()


def test_a_bento_without_the_template_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(
        "import bentoml\n@bentoml.service\nclass Plain:\n"
        "    @bentoml.api\n    def add(self, a: int) -> int:\n        return a\n"
    )
    (tmp_path / "bentofile.yaml").write_text(
        "service: plain:Plain\npython: {packages: [bentoml], lock_packages: false}\n"
    )
    tag = standalone.build(tmp_path, Path(os.environ["BENTOML_HOME"]))
    plain = bentoml.get(tag)
    with pytest.raises(ContainerError, match="names no Dockerfile template"):
        copy_onto(plain, tmp_path / "other", "localhost/base:1")
    with pytest.raises(ContainerError, match="no API that takes a photo"):
        photo_call(Path(plain.path))


def test_how_a_photo_is_posted_is_read_from_the_bento(bento: bentoml.Bento) -> None:
    call = photo_call(Path(bento.path))
    assert (call.route, call.field) == ("/check", "image")


def test_the_example_has_the_same_template() -> None:
    ours = (ROOT / "deploy" / "container" / "Dockerfile.template").read_text()
    assert (EXAMPLE / "Dockerfile.template").read_text() == ours
