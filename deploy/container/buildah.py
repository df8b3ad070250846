"""buildah with an image store of its own, and a Debian base image made without any registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BASE_IMAGE = "localhost/plantood-base:bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_MIRROR = "http://deb.debian.org/debian"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_BUNDLE = "/etc/ssl/certs/machine-bundle.crt"


class ContainerError(Exception):
    """What went wrong, in words and with what the tool said."""


def missing() -> list[str]:
    """What this machine lacks to build and run a container without a docker daemon."""
    lacks = [tool for tool in ("buildah", "debootstrap", "unshare") if shutil.which(tool) is None]
    if os.geteuid() != 0:
        lacks.append("root")
    return lacks


def run(
    command: list[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """Run a command to its end and return its output.

    Raises:
        ContainerError: It failed; with the end of what it wrote.
    """
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        output = f"{done.stdout}\n{done.stderr}".strip().splitlines()[-25:]
        raise ContainerError("\n".join([f"{' '.join(command)} failed:", *output]))
    return done.stdout


@dataclass(frozen=True)
class Buildah:
    """The tool, on a store below one folder: it sees and leaves no image of the machine's own.

    `vfs` copies every layer but works on any file system; `chroot` isolation needs no container
    runtime. An image in Docker's format keeps its health check, one in OCI's does not.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        configuration = self.root / "storage.conf"
        configuration.write_text(
            f'[storage]\ndriver = "vfs"\n'
            f'graphroot = "{self.root / "images"}"\nrunroot = "{self.root / "run"}"\n'
        )
        self.environment.update(
            os.environ
            | {
                "CONTAINERS_STORAGE_CONF": str(configuration),
                "STORAGE_DRIVER": "vfs",
                "BUILDAH_ISOLATION": "chroot",
                "BUILDAH_FORMAT": "docker",
            }
        )

    def __call__(self, *arguments: str) -> str:
        """Run one of its commands; returns its output, stripped."""
        return run(["buildah", *arguments], environment=self.environment).strip()

    def has(self, image: str) -> bool:
        """True if the store holds an image of this name."""
        return bool(self("images", "--quiet", "--filter", f"reference={image}"))

    def containerize(self, bento: str, bentoml_home: Path) -> str:
        """`bentoml containerize BENTO --backend buildah`; returns the image's name.

        It is run from ``/``: BentoML 1.4.39 refuses a Dockerfile template outside of the working
        folder, and looks for it in a temporary one (BentoML issue 5566).
        """
        command = [sys.executable, "-m", "bentoml", "containerize", bento, "--backend", "buildah"]
        environment = self.environment | {"BENTOML_HOME": str(bentoml_home)}
        output = run(command, environment=environment, folder=Path("/"))
        image = f"localhost/{bento}"
        if not self.has(image):  # BentoML prints what went wrong, and exits with 0
            raise ContainerError(f"{' '.join(command)} left no image:\n{output[-4000:]}")
        return image

    def make_base(self) -> None:
        """Make `BASE_IMAGE` of Debian packages, unless the store has it."""
        if self.has(BASE_IMAGE):
            return
        files = self.root / "debian"
        shutil.rmtree(files, ignore_errors=True)
        options = ["--variant=minbase", f"--include={_PACKAGES}"]
        run(["debootstrap", *options, "bookworm", str(files), _MIRROR])
        _prepare(files)
        container = self("from", "scratch")
        self("add", "--quiet", container, str(files), "/")
        shutil.rmtree(files)
        variables = [f"--env={name}={_BUNDLE}" for name in ("SSL_CERT_FILE", "PIP_CERT")]
        self("config", *variables, "--cmd", "/bin/bash", container)
        self("commit", "--quiet", "--rm", container, BASE_IMAGE)


def _prepare(files: Path) -> None:
    """Let pip install beside Debian's packages, name `python`, and trust what the machine trusts.

    The bundle has a name of its own, since installing `ca-certificates` rewrites the usual one.
    """
    for marker in files.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    (files / "usr/bin/python").symlink_to("python3")
    if _CERTIFICATES.is_file():
        shutil.copyfile(_CERTIFICATES, files / _BUNDLE.lstrip("/"))
    run(["chroot", str(files), "apt-get", "clean"])
    for lists in (files / "var/lib/apt/lists").iterdir():
        shutil.rmtree(lists) if lists.is_dir() else lists.unlink()
