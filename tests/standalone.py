"""A bento by itself: what it packs is installed into a new environment and served from there.

::

    with standalone.serving(standalone.install(project, work)) as server:
        httpx.post(f"{server.url}/check", content=photo)

The steps are those of the bento's own image: its ``requirements.txt`` and wheels into a virtual
environment, the bento into an empty ``BENTOML_HOME``, and its own ``entrypoint.sh``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from uv import find_uv_bin

from tests.service import server
from tests.service.server import ROOT, Server

AUDIT = """
import os, sys
def _note(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(args[0]))
        if path.startswith({root!r}):
            os.write(2, f"OPENED {{path}}\\n".encode())
sys.addaudithook(_note)
"""
"""Imported by every Python of the new environment as it starts: every file of the checkout that any
of the service's Python processes opens leaves a line in its log."""


@dataclass(frozen=True)
class Standalone:
    """An installed bento."""

    tag: str
    archive: Path
    """The exported bento, models included."""
    environment: Path
    """The virtual environment that holds what the bento asked for, and nothing else."""
    home: Path
    """The `BENTOML_HOME` that it was imported into."""
    bento: Path
    """Its folder there."""

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"


def _inside(environment: Path, home: Path, **variables: str) -> dict[str, str]:
    """As after activating a virtual environment."""
    path = f"{environment / 'bin'}{os.pathsep}{server.environment(home)['PATH']}"
    return server.environment(home, VIRTUAL_ENV=str(environment), PATH=path, **variables)


def copy_sources(folder: Path) -> Path:
    """What a wheel of plantood is built from; building in the checkout would leave files there."""
    folder.mkdir()
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    for package in ("plantood", "training"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=leave)
    return folder


def wheel(folder: Path) -> Path:
    """The wheel of this checkout, built into a folder."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    _run([*pip, str(copy_sources(folder / "source"))], folder)
    (built,) = folder.glob("plantood-*.whl")
    return built


def audit(environment: Path) -> None:
    """Let every Python of an environment note which files of the checkout it opens."""
    site = next((environment / "lib").glob("python3*/site-packages"))
    (site / "audit.py").write_text(AUDIT.format(root=f"{ROOT}{os.sep}"))
    (site / "audit.pth").write_text("import audit\n")  # Debian has a sitecustomize of its own


def build(project: Path, home: Path, **variables: str) -> str:
    """`bentoml build` in a project's folder, into the store ``home``; returns the tag."""
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", "."]
    output = _run(command, project, server.environment(home, **variables))
    return output.rsplit("__tag__:", 1)[1].strip()


def export(tag: str, home: Path, archive: Path) -> Path:
    """`bentoml export`: the bento as one file, its models in it; `.tar` is the fastest."""
    command = [sys.executable, "-m", "bentoml", "export", tag, str(archive)]
    _run(command, archive.parent, server.environment(home))
    return archive


def install(project: Path, work: Path, **variables: str) -> Standalone:
    """Build a project's bento and install it into a new environment and an empty store.

    Args:
        project: Folder with the `bentofile.yaml`.
        work: Receives everything: both stores, the archive, the environment.
        variables: Environment variables for `bentoml build`.
    """
    tag = build(project, work / "builder", **variables)
    archive = export(tag, work / "builder", work / "packed.tar")
    return install_archive(tag, archive, work)


def install_archive(tag: str, archive: Path, work: Path) -> Standalone:
    """Install an exported bento into a new environment and an empty store below ``work``."""
    environment, home = work / "environment", work / "home"
    unpacked = work / "unpacked"
    shutil.unpack_archive(archive, unpacked, "tar")
    # Both ways of installing look for uv on the path, where the tests' own need not be.
    uv = str(shutil.copy(find_uv_bin(), work / "uv"))
    _run([uv, "venv", "--quiet", "--python", sys._base_executable, str(environment)], work)
    variables = _inside(environment, home)
    variables["PATH"] += f"{os.pathsep}{work}"
    script = unpacked / "env" / "python" / "install.sh"
    if script.is_file():
        _run(["bash", str(script)], work, variables)
    else:  # a bento without a Dockerfile template: the line of its Dockerfile
        requirements = unpacked / "env" / "python" / "requirements.txt"
        _run([uv, "pip", "install", "-r", str(requirements)], unpacked / "src", variables)
    shutil.rmtree(unpacked)
    audit(environment)

    home.mkdir()
    python = str(environment / "bin" / "python")
    command = [python, "-m", "bentoml", "import", str(archive)]
    _run(command, work, server.environment(home))
    name, version = tag.split(":")
    return Standalone(tag, archive, environment, home, home / "bentos" / name / version)


@contextlib.contextmanager
def serving(standalone: Standalone, **settings: str) -> Iterator[Server]:
    """Start it by its own entrypoint, as its image would; stopped afterwards."""
    variables = _inside(
        standalone.environment, standalone.home, BENTO_PATH=str(standalone.bento), **settings
    )
    entrypoint = ["bash", str(standalone.bento / "env" / "docker" / "entrypoint.sh")]
    log = standalone.home / "serve.log"
    with server.launch(
        entrypoint, folder=standalone.bento, environment=variables, log=log
    ) as started:
        started.wait_until_ready()
        yield started


def traces_of_checkout(running: Server) -> list[str]:
    """Whatever ties the running service's processes to the checkout; empty if it stands alone.

    Working folders, programs, mapped libraries, open files, the environment, and every file that
    was opened since the start.
    """
    traces = [line for line in running.output.splitlines() if line.startswith("OPENED ")]
    inside = f"{ROOT}{os.sep}"
    for process in [running.supervisor, *running.supervisor.children(recursive=True)]:
        proc = Path(f"/proc/{process.pid}")
        links = [proc / "cwd", proc / "exe", *(proc / "fd").iterdir()]
        seen = [str(link.readlink()) for link in links if link.is_symlink()]
        seen += (proc / "maps").read_text().splitlines()
        seen += (proc / "environ").read_text().split("\0")
        with contextlib.suppress(psutil.Error):
            seen += process.cmdline()
        traces += [f"{process.pid}: {text}" for text in seen if inside in f"{text}{os.sep}"]
    return traces


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command to its end; its output, which becomes the failure if it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
