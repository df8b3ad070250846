"""The bill of materials: what it says is what requirements.txt and the gate say."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name
from pip_requirements_parser import RequirementsFile

from plantood import __version__
from plantood.model.entry import MANIFEST, open_gate, sha256
from plantood.model.starter import starter_dir
from tests.service.server import ROOT

MODEL = "machine-learning-model"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sbom") / "new" / "plantood.cdx.json"
    command = [sys.executable, "-m", "deploy.container.sbom", str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().endswith(sha256(file))
    return file


@pytest.fixture(scope="module")
def bill(file: Path) -> dict[str, Any]:
    return json.loads(file.read_bytes())


@pytest.fixture(scope="module")
def packages(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    parts = [part for part in bill["components"] if part["type"] == "library"]
    return {canonicalize_name(part["name"]): part for part in parts}


def _digests(hashes: list[dict[str, str]]) -> list[str]:
    assert {each["alg"] for each in hashes} <= {"SHA-256"}
    return [each["content"] for each in hashes]


def test_it_conforms_to_the_schema(file: Path, bill: dict[str, Any]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text()) is None
    about = bill["metadata"]["component"]
    assert (about["name"], about["version"]) == ("plantood", __version__)
    assert "timestamp" not in bill["metadata"]  # the same parts make the same file


def test_it_has_the_locked_packages_by_version_hash_and_address(
    packages: dict[str, dict[str, Any]],
) -> None:
    locked = {
        canonicalize_name(each.name): each
        for each in RequirementsFile.from_file(str(ROOT / "requirements.txt")).requirements
        if each.marker is None or each.marker.evaluate()
    }
    assert set(packages) == set(locked)
    for name, part in packages.items():
        version = locked[name].get_pinned_version
        assert part["version"] == version
        assert part["purl"] == f"pkg:pypi/{name}@{version}"
        hashes = [
            digest
            for reference in part["externalReferences"]
            if reference["type"] == "distribution"
            for digest in _digests(reference.get("hashes", []))
        ]
        assert sorted(f"sha256:{digest}" for digest in hashes) == sorted(locked[name].hash_options)


def test_every_package_has_a_licence(packages: dict[str, dict[str, Any]]) -> None:
    for name, part in packages.items():
        assert part["licenses"], name
        for each in part["licenses"]:
            words = each.get("expression") or each["license"].get("id") or each["license"]["name"]
            assert words.strip(), name


def test_libraries_within_wheels_are_named(packages: dict[str, dict[str, Any]]) -> None:
    heif = packages["pi-heif-decoder"]["components"]
    assert {each["name"].split("-")[0] for each in heif} == {"libheif", "libde265"}
    files = {file.name: file for file in metadata.files("pi-heif-decoder")}
    for each in heif:
        assert _digests(each["hashes"]) == [sha256(Path(files[each["name"]].locate()))]


def test_it_has_the_gate_with_its_digest(bill: dict[str, Any]) -> None:
    (model,) = [part for part in bill["components"] if part["type"] == MODEL]
    assert (model["name"], model["version"]) == ("plantood-gate", "starter")
    assert _digests(model["hashes"]) == [sha256(starter_dir() / MANIFEST)]
    assert model["licenses"] == [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}]
    files = {each["name"]: _digests(each["hashes"])[0] for each in model["components"]}
    assert files == open_gate(starter_dir()).manifest.files


def test_it_says_what_needs_what(bill: dict[str, Any]) -> None:
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    refs = {part["bom-ref"] for part in bill["components"]}
    assert set(needs) == refs | {bill["metadata"]["component"]["bom-ref"]}
    assert refs.issuperset(ref for found in needs.values() for ref in found)
    reached: set[str] = set()
    waiting = [bill["metadata"]["component"]["bom-ref"]]
    while waiting:
        waiting += (found := set(needs[waiting.pop()]) - reached)
        reached |= found
    assert reached == refs
