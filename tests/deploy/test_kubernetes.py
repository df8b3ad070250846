"""The manifests: valid, hardened, and consistent with each other and with the service."""

from __future__ import annotations

import math
import os
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator
from kubernetes_validate.utils import SchemaNotFoundError

from plantood.http.room import IN_MEMORY, SPOOL_BYTES
from plantood.settings import MEBIBYTE, PREFIX, Settings, variable
from tests.deploy.manifests import (
    KUBERNETES,
    OVERLAYS,
    Manifest,
    Party,
    container,
    environment,
    namespace_of,
    of_kind,
    pod_of,
    quantity,
    reaches,
    render,
    render_folder,
    the,
)
from tests.service.server import ROOT

VERSIONS = ["1.30", "1.33", kubernetes_validate.latest_version()]
"""Kubernetes releases to validate against: the oldest promised, one between, the newest."""

LOG = 5 * 10 * MEBIBYTE
"""The kubelet keeps so much of a container's log, unless a node is configured otherwise."""
BOOKS = 32 * MEBIBYTE
"""More than BentoML's folders and the metrics' files ever take."""

LABELS = {"name", "component", "instance", "version", "part-of", "managed-by"}
SPLIT = "production-split"


def deployments() -> list[Any]:
    """Every Deployment of every overlay, as parameters."""
    return [
        pytest.param(overlay, component, id=f"{overlay}-{component}")
        for overlay in OVERLAYS
        for component in (("gate", "scorer") if overlay == SPLIT else ("gate",))
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid(overlay: str, version: str) -> None:
    for manifest in render(overlay):
        kind, api = manifest["kind"], manifest["apiVersion"]
        if api == "monitoring.coreos.com/v1":
            getattr(operator, kind).model_validate(manifest, extra="forbid")
        else:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_mistake_in_a_manifest_is_found() -> None:
    """The validators do validate: a wrong field and a wrong type are refused."""
    deployment = the("dev", "Deployment")
    wrong_field = yaml.safe_load(yaml.safe_dump(deployment))
    container(wrong_field)["livenessprobe"] = {}
    wrong_type = yaml.safe_load(yaml.safe_dump(deployment))
    wrong_type["spec"]["replicas"] = "one"
    for wrong in (wrong_field, wrong_type):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)
    with pytest.raises(SchemaNotFoundError):
        kubernetes_validate.validate(deployment | {"kind": "Deploymint"}, VERSIONS[-1], strict=True)


def test_the_manifests_in_the_document_are_valid() -> None:
    document = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    shown = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    assert shown
    services = {
        service["metadata"]["name"]: service for service in of_kind("production", "Service")
    }
    for manifest in map(yaml.safe_load, shown):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
        for rule in manifest["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                ports = {port["name"] for port in services[backend["name"]]["spec"]["ports"]}
                assert backend["port"]["name"] in ports


def test_the_document_says_where_the_name_of_the_service_stands() -> None:
    """Who serves a bento of his own has to put another in its place, or it is neither bounded nor
    watched.
    """
    document = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    section = document.partition("### A bento of your own")[2].partition("\n## ")[0]
    rules = of_kind("production", "PrometheusRule")[0]["spec"]["groups"]
    alerts = {
        rule["alert"] for group in rules for rule in group["rules"] if "PlantGate" in rule["expr"]
    }
    files = {
        path.name
        for path in (ROOT / "deploy").rglob("*")
        if path.suffix in (".yaml", ".json") and not path.name.endswith(".test.yaml")
        if "PlantGate" in path.read_text(encoding="utf-8")
    }
    assert {"bentoml.yaml", "dashboard.json"} < files
    assert not [name for name in alerts | files if name not in section]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_kind_of_the_house_is_there(overlay: str) -> None:
    kinds = {manifest["kind"] for manifest in render(overlay)}
    always = {"Namespace", "ServiceAccount", "ConfigMap", "Deployment", "Service", "NetworkPolicy"}
    assert kinds >= always
    if overlay != "dev":
        assert kinds >= {"HorizontalPodAutoscaler", "PodDisruptionBudget"}
        assert kinds >= {"PodMonitor", "PrometheusRule"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_carries_the_standard_labels(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace")
    for manifest in render(overlay):
        labels = manifest["metadata"]["labels"]
        assert {f"app.kubernetes.io/{name}" for name in LABELS} <= labels.keys(), manifest["kind"]
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == namespace["metadata"]["name"]
    for deployment in of_kind(overlay, "Deployment"):
        assert {f"app.kubernetes.io/{name}" for name in LABELS} <= _labels(deployment).keys()


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_a_pod_passes_the_restricted_security_standard(overlay: str, component: str) -> None:
    """kubernetes.io/docs/concepts/security/pod-security-standards, and a read-only root on top."""
    pod = the(overlay, "Deployment", component)["spec"]["template"]["spec"]
    security = container({"spec": {"template": {"spec": pod}}})["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == 1034
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(volume.keys() & {"emptyDir", "configMap"} for volume in pod["volumes"])
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    labels = namespace_of(overlay)
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == f"v{VERSIONS[0]}"


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_selectors_meet_the_pods_they_mean_and_no_others(overlay: str, component: str) -> None:
    name = {"gate": "scorer", "scorer": "gate"}
    pods = _labels(the(overlay, "Deployment", component))
    others = [_labels(other) for other in of_kind(overlay, "Deployment", name[component])]
    selectors = [
        the(overlay, "Deployment", component)["spec"]["selector"]["matchLabels"],
        the(overlay, "Service", component)["spec"]["selector"],
        the(overlay, "NetworkPolicy", component)["spec"]["podSelector"]["matchLabels"],
        *(
            budget["spec"]["selector"]["matchLabels"]
            for budget in of_kind(overlay, "PodDisruptionBudget", component)
        ),
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in _pod(overlay, component)["topologySpreadConstraints"]
        ),
    ]
    for selector in selectors:
        assert selector.items() <= pods.items()
        assert not any(selector.items() <= other.items() for other in others)
        assert selector["app.kubernetes.io/instance"]


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_what_a_manifest_names_exists(overlay: str, component: str) -> None:
    pod = _pod(overlay, component)
    names = {
        kind: {manifest["metadata"]["name"] for manifest in of_kind(overlay, kind)}
        for kind in ("ConfigMap", "ServiceAccount", "Deployment")
    }
    main = container(the(overlay, "Deployment", component))
    maps = {source["configMapRef"]["name"] for source in main["envFrom"]}
    maps |= {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
    assert maps <= names["ConfigMap"]
    assert pod["serviceAccountName"] in names["ServiceAccount"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in main["volumeMounts"]} == volumes
    ports = {port["name"] for port in main["ports"]}
    assert {port["targetPort"] for port in the(overlay, "Service", component)["spec"]["ports"]} <= (
        ports
    )
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert main[probe]["httpGet"]["port"] in ports
    for autoscaler in of_kind(overlay, "HorizontalPodAutoscaler", component):
        target = autoscaler["spec"]["scaleTargetRef"]["name"]
        assert target == the(overlay, "Deployment", component)["metadata"]["name"]
        assert "replicas" not in the(overlay, "Deployment", component)["spec"]  # it owns them


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_the_grace_covers_the_longest_request(overlay: str, component: str) -> None:
    settings = _settings(overlay, component)
    command = container(the(overlay, "Deployment", component))["lifecycle"]["preStop"]["exec"]
    assert command["command"][0] == "sleep"
    needed = int(command["command"][1]) + settings.timeout_s + settings.gate_timeout_s
    assert _pod(overlay, component)["terminationGracePeriodSeconds"] >= needed + 10


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_probes_are_more_patient_than_the_service(overlay: str, component: str) -> None:
    """A probe that gives up before the service has decided would restart one that is only slow."""
    from plantood.judging.judge import PASS_SECONDS

    main = container(the(overlay, "Deployment", component))
    verdict_timeout = _settings(overlay, component).gate_timeout_s
    assert main["readinessProbe"]["timeoutSeconds"] > PASS_SECONDS
    for probe in ("livenessProbe", "startupProbe"):
        assert main[probe]["timeoutSeconds"] > verdict_timeout
    liveness, startup = main["livenessProbe"], main["startupProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 120


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_the_settings_are_known_and_can_be_used(overlay: str, component: str) -> None:
    known = {variable(field) for field in Settings.model_fields}
    given = environment(overlay, component)
    assert {name for name in given if name.startswith("PLANTOOD_")} <= known
    assert _settings(overlay, component).workers == 1
    writable = [
        mount["mountPath"]
        for mount in container(the(overlay, "Deployment", component))["volumeMounts"]
        if not mount.get("readOnly")
    ]
    for name in ("BENTOML_HOME", "TMPDIR", "HOME"):
        assert any(Path(given[name]).is_relative_to(folder) for folder in writable)


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_the_memory_holds_the_measured_peak_and_all_that_strangers_can_add(
    overlay: str, component: str
) -> None:
    resources = container(the(overlay, "Deployment", component))["resources"]
    request, limit = (quantity(resources[key]["memory"]) for key in ("requests", "limits"))
    network = "starter gate" if overlay == "dev" else "ResNet50"
    peak = _measured_peak(network, _place(overlay, component))
    assert peak <= request <= limit
    settings = _settings(overlay, component)
    added = 0
    if component == "gate":
        threads = settings.decode_threads or math.ceil(quantity(resources["limits"]["cpu"]))
        files = threads * settings.max_upload_bytes  # those of the photos being decoded
        added = IN_MEMORY * SPOOL_BYTES + settings.decode_memory_bytes + files
    assert 1.25 * (peak + added) <= limit  # what the parts did not foresee


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_the_disk_holds_the_uploads_and_the_log(overlay: str, component: str) -> None:
    resources = container(the(overlay, "Deployment", component))["resources"]
    key = "ephemeral-storage"
    request, limit = (quantity(resources[kind][key]) for kind in ("requests", "limits"))
    (scratch,) = [
        quantity(volume["emptyDir"]["sizeLimit"])
        for volume in _pod(overlay, component)["volumes"]
        if "emptyDir" in volume
    ]
    settings = _settings(overlay, component)
    uploads = settings.max_uploads_bytes if component == "gate" else 0
    assert uploads + LOG + BOOKS <= request
    assert uploads + BOOKS < scratch
    assert scratch + LOG < limit <= 2 * scratch


def _place(overlay: str, component: str) -> str:
    """The column of docs/kubernetes.md, "Resources", that is about such a pod."""
    return f"{component} apart" if overlay == SPLIT else "gate and scorer in one pod"


def _measured_peak(network: str, place: str) -> int:
    """Bytes, from that table."""
    document = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in document.partition("## Resources")[2].splitlines()
        if line.startswith("|")
    ]
    (row,) = [row for row in table if row[0].startswith(network)]
    return int(row[table[0].index(place)]) * 1_000_000


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_an_image_of_production_is_named_by_its_digest(overlay: str, component: str) -> None:
    main = container(the(overlay, "Deployment", component))
    if overlay == "dev":  # the local machine's, which has been in no registry
        assert (main["image"], main["imagePullPolicy"]) == ("plantood:dev", "Never")
        return
    assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+@sha256:[0-9a-f]{64}", main["image"])
    assert main["imagePullPolicy"] == "IfNotPresent"  # what has this digest is this image
    assert main["image"] == container(the(overlay, "Deployment"))["image"]


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_a_deployment_says_its_version_and_its_gate_model(overlay: str, component: str) -> None:
    deployment = the(overlay, "Deployment", component)
    version = deployment["metadata"]["labels"]["app.kubernetes.io/version"]
    assert version == _labels(deployment)["app.kubernetes.io/version"]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    gate_model = annotations["plantood/gate-model"]
    assert re.fullmatch(r"[\w.-]+:[\w.-]+", gate_model)
    if overlay != "dev":
        cause = deployment["metadata"]["annotations"]["kubernetes.io/change-cause"]
        assert cause == f"{version}, {gate_model}"


def test_the_split_gates_ask_the_scorers_of_their_own_version() -> None:
    gate, scorer = (the(SPLIT, "Deployment", component) for component in ("gate", "scorer"))
    service = the(SPLIT, "Service", "scorer")
    version = _labels(gate)["app.kubernetes.io/version"]
    assert service["metadata"]["name"].endswith(f"-{version}")
    assert scorer["metadata"]["name"] == service["metadata"]["name"]
    assert service["spec"]["selector"]["app.kubernetes.io/version"] == version
    assert environment(SPLIT, "gate")["SCORER_HOST"] == service["metadata"]["name"]
    (port,) = service["spec"]["ports"]
    assert f"PlantScorer=http://$(SCORER_HOST):{port['port']}" in container(gate)["args"]


CALLERS = {
    "a client": Party({"plantood/client": "true"}, {"app": "detector"}),
    "the ingress controller": Party(
        {"kubernetes.io/metadata.name": "ingress-nginx"},
        {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"},
    ),
    "another pod beside the ingress controller": Party(
        {"kubernetes.io/metadata.name": "ingress-nginx"}, {"app": "other"}
    ),
    "Prometheus": Party(
        {"kubernetes.io/metadata.name": "monitoring"}, {"app.kubernetes.io/name": "prometheus"}
    ),
    "another pod beside Prometheus": Party(
        {"kubernetes.io/metadata.name": "monitoring"}, {"app.kubernetes.io/name": "grafana"}
    ),
    "one who calls itself Prometheus": Party(
        {"kubernetes.io/metadata.name": "elsewhere"}, {"app.kubernetes.io/name": "prometheus"}
    ),
    "one who calls itself a gate": Party(
        {"kubernetes.io/metadata.name": "elsewhere"},
        {"app.kubernetes.io/name": "plantood", "app.kubernetes.io/component": "gate"},
    ),
    "one who calls itself a client": Party(
        {"kubernetes.io/metadata.name": "elsewhere"}, {"plantood/client": "true"}
    ),
    "an address outside": Party(address="203.0.113.7"),
}
"""Who might want something of a pod."""

NAMES = {"kubernetes.io/metadata.name": "kube-system"}
DNS = Party(NAMES, {"k8s-app": "kube-dns"})
TARGETS = {
    "DNS": (DNS, 53, "UDP"),
    "DNS over TCP": (DNS, 53, "TCP"),
    "DNS on the node": (Party(address="169.254.20.10"), 53, "UDP"),
    "something else at DNS": (DNS, 9153, "TCP"),
    "another pod of the cluster's own": (Party(NAMES, {"k8s-app": "metrics-server"}), 53, "UDP"),
    "the cloud's metadata": (Party(address="169.254.169.254"), 80, "TCP"),
    "a name server outside": (Party(address="203.0.113.7"), 53, "UDP"),
    "the world": (Party(address="203.0.113.7"), 443, "TCP"),
    "Prometheus": (CALLERS["Prometheus"], 9090, "TCP"),
}
"""What a pod might want of others."""


def _inhabitants(overlay: str) -> dict[str, Party]:
    """The pods of a namespace, and one that nobody has foreseen."""
    components = ("gate", "scorer") if overlay == SPLIT else ("gate",)
    namespace = namespace_of(overlay)
    return {component: pod_of(overlay, component) for component in components} | {
        "another pod of the namespace": Party(namespace, {"app": "other"}, {"http": 3000})
    }


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_only_who_should_reaches_a_port(overlay: str, component: str) -> None:
    """Photos and metrics have callers of their own; a scorer has gates."""
    pod = pod_of(overlay, component)
    callers = CALLERS | _inhabitants(overlay)
    reached = {
        name: {caller for caller in callers if reaches(overlay, callers[caller], pod, number)}
        for name, number in (pod.ports | {"any other": 8080}).items()
    }
    photos = {"gate"} if component == "scorer" else {"a client", "the ingress controller"}
    assert reached == {"http": photos, "metrics": {"Prometheus"}, "any other": set()}


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_a_pod_reaches_only_what_it_needs(overlay: str, component: str) -> None:
    pod = pod_of(overlay, component)
    targets = TARGETS | {
        f"{name}:{port}": (other, number, "TCP")
        for name, other in _inhabitants(overlay).items()
        for port, number in other.ports.items()
    }
    reached = {name for name, target in targets.items() if reaches(overlay, pod, *target)}
    asks = (overlay, component) == (SPLIT, "gate")
    names = {"DNS", "DNS over TCP", "DNS on the node"}
    assert reached == (names | {"scorer:http"} if asks else set())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_that_nobody_has_foreseen_is_cut_off(overlay: str) -> None:
    pods = _inhabitants(overlay)
    other = pods["another pod of the namespace"]
    assert not any(reaches(overlay, caller, other, 3000) for caller in (CALLERS | pods).values())
    assert not any(reaches(overlay, other, *target) for target in TARGETS.values())


@pytest.mark.parametrize(("overlay", "component"), deployments())
def test_the_metrics_have_a_port_of_their_own(overlay: str, component: str) -> None:
    ports = pod_of(overlay, component).ports
    assert ports["metrics"] == _settings(overlay, component).metrics_port != ports["http"]
    targets = [port["targetPort"] for port in the(overlay, "Service", component)["spec"]["ports"]]
    assert targets == ["http"]  # an ingress could not send anybody there by mistake
    for monitor in of_kind(overlay, "PodMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert wanted <= _labels(the(overlay, "Deployment", component)).items()
        assert [end["port"] for end in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_settings_of_a_revision_stay_as_they_are(overlay: str) -> None:
    for given in of_kind(overlay, "ConfigMap"):
        generated = given["metadata"]["name"] != "plantood-dashboard"
        assert given.get("immutable", False) is generated


def test_a_new_setting_is_a_new_name_so_that_pods_are_replaced(tmp_path: Path) -> None:
    """What a change of settings or of the image changes in what is applied, and nothing else."""
    copy = tmp_path / "deploy"
    shutil.copytree(KUBERNETES.parent, copy)
    before = render_folder(copy / "kubernetes" / "overlays" / "production")
    settings = copy / "kubernetes" / "base" / "settings.env"
    settings.write_text(settings.read_text() + "PLANTOOD_LANGUAGE=sw\n")
    after = render_folder(copy / "kubernetes" / "overlays" / "production")
    names = [
        {m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"}
        for manifests in (before, after)
    ]
    assert len(names[0] ^ names[1]) == 2
    pods = [
        next(m for m in manifests if m["kind"] == "Deployment")["spec"]["template"]
        for manifests in (before, after)
    ]
    assert pods[0] != pods[1]
    assert [m for m in before if m["kind"] == "Service"] == [
        m for m in after if m["kind"] == "Service"
    ]


def _pod(overlay: str, component: str) -> Manifest:
    return the(overlay, "Deployment", component)["spec"]["template"]["spec"]


def _labels(deployment: Manifest) -> dict[str, str]:
    return deployment["spec"]["template"]["metadata"]["labels"]


def _settings(overlay: str, component: str) -> Settings:
    others = {name for name in os.environ if name.startswith(PREFIX)}
    with pytest.MonkeyPatch.context() as set_here:
        for name in others:
            set_here.delenv(name)
        for name, value in environment(overlay, component).items():
            set_here.setenv(name, value)
        return Settings.from_environment()
