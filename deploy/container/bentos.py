"""What a built bento says of itself, and a copy of it on another base image."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import bentoml
import httpx
import yaml

from deploy.container.buildah import ContainerError, run


@dataclass(frozen=True)
class Call:
    """How a photo is posted to a bento."""

    route: str
    field: str

    def post(self, url: str, photo: Path) -> httpx.Response:
        """Post a photo as the multipart field."""
        return httpx.post(f"{url}{self.route}", files=self._files(photo), timeout=60)

    def post_all_but_the_end(self, url: str, photo: Path) -> tuple[HTTPConnection, bytes]:
        """Leave a request in the service's hands: all but the last byte of it.

        Returns:
            The connection to send the byte to, and the byte.
        """
        request = httpx.Request("POST", f"{url}{self.route}", files=self._files(photo))
        body = request.read()
        connection = HTTPConnection(request.url.host, request.url.port or 80, timeout=60)
        connection.putrequest("POST", self.route)
        for name in ("Content-Type", "Content-Length"):
            connection.putheader(name, request.headers[name])
        connection.endheaders(body[:-1])
        return connection, body[-1:]

    def _files(self, photo: Path) -> dict[str, tuple[str, bytes, str]]:
        return {self.field: (photo.name, photo.read_bytes(), "image/jpeg")}


def photo_call(bento: Path) -> Call:
    """The first API of a bento that takes one file, from its own description.

    Raises:
        ContainerError: It has none.
    """
    schema = json.loads((bento / "apis" / "schema.json").read_text())
    for route in schema["routes"]:
        for name, field in route["input"].get("properties", {}).items():
            if field.get("type") == "file":
                return Call(route["route"], name)
    raise ContainerError(f"{bento} has no API that takes a photo")


def copy_onto(bento: bentoml.Bento, home: Path, base_image: str) -> str:
    """Copy a bento with its models into an empty store, with ``docker.base_image`` set.

    Args:
        bento: The bento; it stays as it is.
        home: `BENTOML_HOME` of the other store.
        base_image: What its image is to be built on.

    Returns:
        The copy's tag, the same.

    Raises:
        ContainerError: It has no Dockerfile template.
    """
    shutil.rmtree(home, ignore_errors=True)
    archive = home.with_suffix(".tar")
    archive.unlink(missing_ok=True)
    bento.export(str(archive))
    environment = os.environ | {"BENTOML_HOME": str(home)}
    run([sys.executable, "-m", "bentoml", "import", str(archive)], environment=environment)
    archive.unlink()
    description = home / "bentos" / bento.tag.path() / "bento.yaml"
    about = yaml.safe_load(description.read_text())
    if not about.get("docker", {}).get("dockerfile_template"):
        raise ContainerError(f"{bento.tag} names no Dockerfile template; see docs/containers.md")
    about["docker"] |= {"base_image": base_image, "distro": None, "python_version": None}
    description.write_text(yaml.safe_dump(about, sort_keys=False))
    return str(bento.tag)


def build_without_template(bento: bentoml.Bento, home: Path, base_image: str) -> str:
    """Build a bento's sources again as BentoML does by itself, to compare the images.

    Args:
        bento: The bento.
        home: The store that `copy_onto` filled.
        base_image: What its image is to be built on.

    Returns:
        The new bento's tag.
    """
    sources = home / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(Path(bento.path) / "src", sources)
    shutil.copyfile(Path(bento.path) / "env/python/requirements.txt", sources / "requirements.txt")
    options = {
        "service": bento.info.service,
        "name": f"{bento.tag.name}-stock",
        "description": "BentoML's own image",
        "python": {"requirements_txt": "requirements.txt", "lock_packages": False},
        "docker": {"base_image": base_image},
    }
    (sources / "bentofile.yaml").write_text(yaml.safe_dump(options))
    output = run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag", "."],
        environment=os.environ | {"BENTOML_HOME": str(home)},
        folder=sources,
    )
    return output.rsplit("__tag__:", 1)[1].strip()
