"""What the gate's bento installs and packs, as a CycloneDX bill of materials (SBOM) in JSON.

    python -m deploy.container.sbom dist/plantood.cdx.json

`cyclonedx-py` reads both of its sources: `requirements.txt`, which has every package's version and
the hashes of its files, and the packages installed here, which have their licences. To that come
the libraries within the wheels, which scanners overlook, and the gate model. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from pip_requirements_parser import RequirementsFile

from plantood import __version__
from plantood.bento.gate_reference import gate_of
from plantood.errors import PlantoodError
from plantood.model.entry import MANIFEST, GateModel, open_gate, sha256
from plantood.model.starter import starter_dir
from plantood.settings import Settings

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements.txt"
LICENCE = "Apache-2.0"
"""Of plantood, and of the gate that ships with it; docs/licences.md."""


def bill_of_materials(gate: GateModel) -> dict[str, Any]:
    """The bill of the gate's bento with this gate model.

    Raises:
        click.ClickException: A package that is locked is not installed here.
    """
    bill = _cyclonedx("environment", "--pyproject", str(ROOT / "pyproject.toml"), sys.executable)
    installed = {part["purl"]: part for part in bill["components"] if "purl" in part}
    locked = [part for part in _locked() if part["name"] not in _for_elsewhere()]
    if missing := [part["purl"] for part in locked if part["purl"] not in installed]:
        raise click.ClickException(
            f"{', '.join(missing)} of {REQUIREMENTS.name} are not installed here, so that their "
            "licences are not known; run: make develop"
        )
    parts = [_package(installed[part["purl"]], part) for part in locked] + [_model(gate)]
    plantood = bill["metadata"]["component"]
    plantood["version"] = __version__
    known = {part["bom-ref"] for part in (plantood, *parts)}
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    needs[plantood["bom-ref"]].append(gate.tag)
    bill["components"] = parts
    bill["dependencies"] = [
        {"ref": ref, "dependsOn": sorted(known.intersection(needs.get(ref, [])))}
        for ref in sorted(known)
    ]
    return bill


def as_json(bill: dict[str, Any]) -> str:
    """The bill as it is written.

    Raises:
        click.ClickException: It is not what CycloneDX's schema asks for.
    """
    text = json.dumps(bill, indent=2, sort_keys=True) + "\n"
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise click.ClickException(f"the bill does not conform to CycloneDX 1.6: {error}")
    return text


def _cyclonedx(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cyclonedx_py", *arguments]
    command += ["--output-reproducible", "--spec-version", "1.6"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def _locked() -> list[dict[str, Any]]:
    return list(_cyclonedx("requirements", str(REQUIREMENTS))["components"])


def _for_elsewhere() -> set[str]:
    """Names of what is locked for other systems and Pythons only."""
    requirements = RequirementsFile.from_file(str(REQUIREMENTS)).requirements
    return {each.name for each in requirements if each.marker and not each.marker.evaluate()}


def _package(installed: dict[str, Any], locked: dict[str, Any]) -> dict[str, Any]:
    """A package as it is installed, with the hashes of the files that the lock admits."""
    package = installed | {"components": _libraries(installed["name"])}
    files = [each for each in locked["externalReferences"] if each["type"] == "distribution"]
    package["externalReferences"] = [*installed.get("externalReferences", []), *files]
    if not package.get("licenses"):  # in words that are no SPDX identifier
        words = metadata.metadata(installed["name"])["License"]
        package["licenses"] = [{"license": {"name": words, "acknowledgement": "declared"}}]
    return package


def _libraries(name: str) -> list[dict[str, Any]]:
    """The shared libraries of others that a wheel bundles, where auditwheel puts them."""
    files = metadata.files(name) or []
    bundled = (file for file in files if file.parts[0].endswith(".libs"))
    return [_file(file.name, sha256(Path(file.locate()))) for file in bundled]


def _model(gate: GateModel) -> dict[str, Any]:
    name, _, version = gate.tag.partition(":")
    digest = sha256(gate.path / MANIFEST)
    model = {
        "type": "machine-learning-model",
        "bom-ref": gate.tag,
        "name": name,
        "version": version,
        "description": f"backbone {gate.manifest.backbone}, head {gate.manifest.head}",
        "hashes": _hashes(digest),  # of gate.json, as the bento's label has it
        "components": [_file(*each) for each in gate.manifest.files.items()],
    }
    if digest == sha256(open_gate(starter_dir()).path / MANIFEST):
        model["licenses"] = [{"license": {"id": LICENCE, "acknowledgement": "declared"}}]
    return model


def _file(name: str, digest: str) -> dict[str, Any]:
    return {"type": "file", "name": name, "hashes": _hashes(digest)}


def _hashes(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]


@click.command(help=__doc__)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def main(file: Path) -> None:
    """See the module."""
    try:
        gate = gate_of(Settings.from_environment())
    except PlantoodError as error:
        raise click.ClickException(str(error)) from None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(as_json(bill_of_materials(gate)), encoding="utf-8")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    click.echo(f"{file}: {REQUIREMENTS.name} and {gate.tag}, SHA-256 {digest}")


if __name__ == "__main__":
    main()
