"""The overlays as `kubectl` renders them."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
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


def quantity(text: str | int) -> float:
    """A Kubernetes quantity as a number: bytes, or cores."""
    number, unit = re.fullmatch(r"([\d.]+)(\D*)", str(text)).groups()
    units = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}
    units |= {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
    return float(number) * units[unit]


@dataclass(frozen=True)
class Party:
    """One end of a connection: a pod, or an address outside of the cluster."""

    namespace: dict[str, str] = field(default_factory=dict)
    """The labels of its namespace."""
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    """Its ports that have names."""
    address: str = ""
    """Of one that is no pod."""


def pod_of(overlay: str, component: str) -> Party:
    """A pod of a Deployment."""
    deployment = the(overlay, "Deployment", component)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in container(deployment)["ports"]}
    return Party(namespace_of(overlay), labels, ports)


def namespace_of(overlay: str) -> dict[str, str]:
    """The labels of an overlay's namespace, with the one that Kubernetes itself sets."""
    (namespace,) = of_kind(overlay, "Namespace")
    metadata = namespace["metadata"]
    return metadata["labels"] | {"kubernetes.io/metadata.name": metadata["name"]}


def reaches(overlay: str, source: Party, target: Party, port: int, protocol: str = "TCP") -> bool:
    """Whether the network policies of an overlay let a connection pass.

    As kubernetes.io/docs/concepts/services-networking/network-policies says: both ends must agree;
    a pod that no policy selects agrees to everything, one that some select to what any of them
    names.
    """
    names = target.ports

    def agrees(direction: str, key: str, near: Party, far: Party) -> bool:
        policies = [
            policy["spec"]
            for policy in of_kind(overlay, "NetworkPolicy")
            if near.namespace == namespace_of(overlay)
            and direction in policy["spec"]["policyTypes"]
            and _selects(policy["spec"]["podSelector"], near.labels)
        ]
        rules = [rule for policy in policies for rule in policy.get(direction.lower(), [])]
        return not policies or any(
            any(_is(peer, near, far) for peer in rule[key])
            and (port, protocol)
            in {(names.get(p["port"], p["port"]), p.get("protocol", "TCP")) for p in rule["ports"]}
            for rule in rules
        )

    return agrees("Egress", "to", source, target) and agrees("Ingress", "from", target, source)


def _is(peer: Manifest, near: Party, far: Party) -> bool:
    """Whether a policy in the namespace of ``near`` means ``far`` by a peer."""
    if "ipBlock" in peer:
        addresses = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return bool(far.address) and ipaddress.ip_address(far.address) in addresses
    if far.address:
        return False
    if "namespaceSelector" not in peer:
        return far.namespace == near.namespace and _selects(peer["podSelector"], far.labels)
    return _selects(peer["namespaceSelector"], far.namespace) and _selects(
        peer.get("podSelector", {}), far.labels
    )


def _selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector means these labels; an empty one means all."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )
