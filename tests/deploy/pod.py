"""One container of a Deployment, started as the kubelet would start it, without a cluster.

As root it gets namespaces of its own: a root file system that is read-only, in it the programs of
this machine and the bento where its image has it, the manifest's volumes where the manifest mounts
them, the process number 1, the manifest's user, no capability, and no way to gain one. As another
user it runs as that user, in a bento whose folders are read-only.

What only an image can show is not here: the packages are those of the tests.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests import standalone
from tests.deploy.manifests import Manifest, container, environment, of_kind, the
from tests.service.server import ROOT, Server, free_ports

IMAGE_BENTO = "/home/bentoml/bento"

_CONTAINER = r"""
set -e
root=$1 bento=$2 user=$3 volumes=$4 visible=$5
shift 5
mount -t tmpfs none "$root"
cd "$root"
mkdir etc
for name in passwd group hosts nsswitch.conf ld.so.cache; do
    cp /etc/$name etc
done
for volume in $volumes; do
    source=${volume%%=*} target=.${volume#*=}
    mkdir -p "$target"
    if [ "$source" = emptyDir ]; then
        mount -t tmpfs -o mode=1777 none "$target"
    else
        mount --bind "$source" "$target"
        mount -o remount,bind,ro "$target"
    fi
done
for folder in $visible; do
    mkdir -p ".$folder"
    mount --rbind "$folder" ".$folder"
    mount -o remount,bind,ro ".$folder"
done
mkdir -p proc dev ".$BENTO_PATH"
mount -t proc proc proc
mount --rbind /dev dev
mount --bind "$bento" ".$BENTO_PATH"
mount -o remount,bind,ro ".$BENTO_PATH"
mount -o remount,bind,ro .
exec /usr/sbin/chroot . setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all --ambient-caps=-all \
    bash -c 'cd "$BENTO_PATH" && exec env/docker/entrypoint.sh "$@"' entrypoint "$@"
"""


@dataclass(frozen=True)
class Image:
    """What the bento's image holds: the bento with its models, and environment variables."""

    bento: Path
    environment: dict[str, str]


@dataclass
class Pod(Server):
    """A running container. Its ``supervisor`` is the container's process number 1."""

    manifest: Manifest
    process: subprocess.Popen[bytes]
    isolated: bool
    """Whether it has namespaces of its own."""
    metrics_url: str
    """Where the port is that the manifest calls `metrics`."""

    def metrics(self) -> dict[str, float]:
        """Every sample on /metrics: its name with its labels, and its value."""
        return Server(self.metrics_url, self.log, self.supervisor).metrics()

    def probe(self, name: str) -> int:
        """Ask once as the kubelet does; path and patience are the manifest's. 0 if none answers."""
        probe = container(self.manifest)[name]
        try:
            answer = httpx.get(self.url + probe["httpGet"]["path"], timeout=probe["timeoutSeconds"])
        except httpx.TransportError:
            return 0
        return answer.status_code

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as root where the container is isolated."""
        inside = ["nsenter", "--target", str(self.supervisor.pid), "--mount", "--pid", "--root"]
        words = [*inside, *command] if self.isolated else list(command)
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def before_stop(self) -> None:
        """Run the manifest's preStop command to its end."""
        hook = container(self.manifest)["lifecycle"]["preStop"]["exec"]["command"]
        assert self.run(*hook).returncode == 0

    def terminate(self) -> int:
        """SIGTERM, and SIGKILL at the end of the grace period; the container's exit status."""
        self.supervisor.send_signal(signal.SIGTERM)
        grace = self.manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        try:
            return self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            return self.process.wait()


def build_image(work: Path) -> Image:
    """Build the gate's bento, and lay it out as `bentoml containerize` does."""
    tag = standalone.build(ROOT, work / "builder")
    archive = standalone.export(tag, work / "builder", work / "packed.tar")
    bento = work / "bento"
    shutil.unpack_archive(archive, bento, "tar")
    for path in [bento, *bento.rglob("*")]:
        path.chmod(0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444)
    return Image(bento, _variables((bento / "env" / "docker" / "Dockerfile").read_text()))


def _variables(dockerfile: str) -> dict[str, str]:
    """The environment variables of a Dockerfile's last stage."""
    stage = re.split(r"^FROM ", dockerfile.replace("\\\n", " "), flags=re.MULTILINE)[-1]
    known = {"PATH": "/usr/bin:/bin"}
    kept = set()
    for keyword, words in re.findall(r"^(ARG|ENV) (.+)$", stage, re.MULTILINE):
        for name, equals, value in (word.partition("=") for word in shlex.split(words)):
            if equals:
                known[name] = re.sub(r"\$\{?(\w+)\}?", lambda m: known.get(m[1], ""), value)
                kept |= {name} if keyword == "ENV" else set()
    return {name: known[name] for name in kept}


def launch(overlay: str, component: str, image: Image, work: Path, **changes: str) -> Pod:
    """Start the container; it is not ready yet.

    Args:
        overlay: Which manifests.
        component: ``gate`` or ``scorer``.
        image: What it runs.
        work: An empty folder for the log and the mounts.
        changes: Environment variables that a cluster would set otherwise.
    """
    manifest = the(overlay, "Deployment", component)
    spec, main = manifest["spec"]["template"]["spec"], container(manifest)
    work.mkdir(parents=True)
    ports = {port["name"]: str(port["containerPort"]) for port in main["ports"]}
    free = dict(
        zip(ports, map(str, free_ports(len(ports))), strict=True)
    )  # pods share this machine's
    variables = image.environment | environment(overlay, component) | changes
    assert variables["PLANTOOD_METRICS_PORT"] == ports["metrics"]
    variables["PLANTOOD_METRICS_PORT"] = free["metrics"]
    variables["BENTO_PATH"] = IMAGE_BENTO
    words = [re.sub(r"\$\((\w+)\)", lambda m: variables[m[1]], word) for word in main["args"]]
    words = [
        free["http"] if word == ports["http"] else word.removesuffix(f":{ports['http']}")
        for word in words
    ]
    volumes = _volumes(overlay, spec, work)
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in main["volumeMounts"]}
    isolated = os.geteuid() == 0
    if isolated:
        visible = ["/usr", "/bin", "/sbin", "/lib", "/lib64", sys.prefix, sys.base_prefix]
        (work / "root").mkdir()
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        command = ["unshare", *namespaces, "bash", "-c", _CONTAINER, "container"]
        command += [str(work / "root"), str(image.bento), str(spec["securityContext"]["runAsUser"])]
        command += [" ".join(f"{source}={target}" for target, source in mounts.items())]
        command += [" ".join(folder for folder in visible if Path(folder).exists()), *words]
        folder = work
    else:
        for target, source in mounts.items():
            place = work / target.strip("/") if source == "emptyDir" else Path(source)
            place.mkdir(parents=True, exist_ok=True)
            variables = {k: _moved(v, target, place) for k, v in variables.items()}
        variables["BENTO_PATH"] = str(image.bento)
        command = ["bash", "env/docker/entrypoint.sh", *words]
        folder = image.bento
    variables["PATH"] = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    log = work / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    first = psutil.Process(process.pid)
    while isolated and not first.children():
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    first = first.children()[0] if isolated else first
    url, metrics_url = (f"http://127.0.0.1:{free[name]}" for name in ("http", "metrics"))
    return Pod(url, log, first, manifest, process, isolated, metrics_url)


def _volumes(overlay: str, spec: Manifest, work: Path) -> dict[str, str]:
    """What each volume of a pod is: ``emptyDir``, or a folder with a ConfigMap's files."""
    volumes = {}
    for volume in spec["volumes"]:
        if "emptyDir" in volume:
            volumes[volume["name"]] = "emptyDir"
            continue
        (data,) = [
            manifest["data"]
            for manifest in of_kind(overlay, "ConfigMap")
            if manifest["metadata"]["name"] == volume["configMap"]["name"]
        ]
        folder = work / volume["name"]
        folder.mkdir(mode=0o755)
        for name, text in data.items():
            (folder / name).write_text(text)
        volumes[volume["name"]] = str(folder)
    return volumes


def _moved(value: str, target: str, place: Path) -> str:
    """A path below ``target``, below ``place`` instead; other values as they are."""
    below = value == target or value.startswith(f"{target}/")
    return f"{place}{value.removeprefix(target)}" if below else value


@contextlib.contextmanager
def running(pod: Pod) -> Iterator[Pod]:
    """Wait until it is ready by its probes; kill what is left of it at the end."""
    try:
        for name in ("startupProbe", "readinessProbe"):
            probe = container(pod.manifest)[name]
            for _ in range(probe["failureThreshold"] * 4):
                assert pod.process.poll() is None, pod.output
                if pod.probe(name) == 200:
                    break
                time.sleep(probe["periodSeconds"] / 4)
            else:
                raise AssertionError(f"{name} never succeeded:\n{pod.output}")
        yield pod
    finally:
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            children = [pod.supervisor, *pod.supervisor.children(recursive=True)]
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        pod.process.wait(10)
