"""The overlays as `kubectl` renders them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.service.server import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())

Manifest = dict[str, Any]


@cache
def render(overlay: str) -> list[Manifest]:
    """Every object of an overlay."""
    return render_folder(KUBERNETES / "overlays" / overlay)


def render_folder(folder: Path) -> list[Manifest]:
    """Every object that a kustomization yields."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if found := shutil.which("kustomize", path=path):
        command = [found, "build"]
    elif found := shutil.which("kubectl", path=path):
        command = [found, "kustomize"]
    else:
        pytest.skip("there is no kubectl; get it with: python deploy/kubernetes/get_kubectl.py DIR")
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, kind: str, component: str | None = None) -> list[Manifest]:
    """Those of one kind, and of the gate or the scorer only if asked for."""
    return [
        manifest
        for manifest in render(overlay)
        if manifest["kind"] == kind
        and component in (None, manifest["metadata"]["labels"]["app.kubernetes.io/component"])
    ]


def the(overlay: str, kind: str, component: str = "gate") -> Manifest:
    """The one object of this kind and component."""
    (manifest,) = of_kind(overlay, kind, component)
    return manifest


def container(deployment: Manifest) -> Manifest:
    """The one container of a Deployment's pods."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def environment(overlay: str, component: str) -> dict[str, str]:
    """The variables that the kubelet sets: the ConfigMap's, then the manifest's own."""
    main = container(the(overlay, "Deployment", component))
    (source,) = main["envFrom"]
    (given,) = [
        manifest["data"]
        for manifest in of_kind(overlay, "ConfigMap")
        if manifest["metadata"]["name"] == source["configMapRef"]["name"]
    ]
    return given | {entry["name"]: entry["value"] for entry in main["env"]}
