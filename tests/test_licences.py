"""What bento and image install: no GPL in any package, nor in any library within a wheel."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name
from pip_requirements_parser import RequirementsFile

from plantood.model.starter import starter_dir
from tests.service.server import ROOT

LICENCES = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
GPL = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)
WEAK_COPYLEFT = re.compile(r"\b(LGPL|MPL|EPL|CDDL|EUPL)|Lesser General|Mozilla Public")
LIBRARY = re.compile(r"\.(so|dylib|dll)(\.|$)")
GCC_EXCEPTION = re.compile(r"GPL-3\.0-or-later WITH GCC-exception-3\.1")
"""It takes the copyleft from all that is linked with GCC's own libraries."""

INSTALLED = sorted(
    canonicalize_name(each.name)
    for each in RequirementsFile.from_file(str(ROOT / "requirements.txt")).requirements
    if each.marker is None or each.marker.evaluate()
)


def statement(package: str) -> str:
    """Whatever a package's metadata say of its licence."""
    about = metadata.metadata(package)
    classifiers = [c for c in about.get_all("Classifier", []) if c.startswith("License ::")]
    return "\n".join(filter(None, (about["License-Expression"], about["License"], *classifiers)))


def notices(package: str) -> str:
    """What a wheel itself says of the binaries that it bundles, if it has a file for that."""
    files = metadata.files(package) or []
    found = [file for file in files if "bundled" in file.name.lower() and ".dist-info" in str(file)]
    return "\n".join(file.read_text(encoding="utf-8") for file in found)


def bundled(package: str) -> set[str]:
    """Names of the shared libraries of others in a wheel, without version and digest."""
    files = metadata.files(package) or []
    inside = [
        file
        for file in files
        if LIBRARY.search(file.name) and file.parts[0].endswith((".libs", ".dylibs"))
    ]
    return {re.split(r"[-.]", file.name)[0] for file in inside}


def listed() -> dict[str, tuple[str, str]]:
    """Of every library in the document: its licence, and the package that it is in."""
    table = re.search(r"<!-- bundled -->\n(.*?)<!-- /bundled -->", LICENCES, re.DOTALL)[1]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:4]] for line in table.splitlines()[2:]]
    return {name: (licence, package) for name, licence, package in rows}


@pytest.mark.parametrize("package", INSTALLED)
def test_no_package_is_under_the_gpl(package: str) -> None:
    words = statement(package)
    assert words, f"{package} does not say what its licence is"
    assert not GPL.search(words)
    assert not GPL.search(notices(package))
    if WEAK_COPYLEFT.search(words):
        assert f"`{package}`" in LICENCES


@pytest.mark.parametrize("package", [name for name in INSTALLED if bundled(name)])
def test_the_licence_of_every_library_within_a_wheel_is_known(package: str) -> None:
    known = {name for name, (_, wheel) in listed().items() if wheel == package}
    assert bundled(package) == known


def test_no_library_within_a_wheel_is_under_the_gpl() -> None:
    for name, (licence, _) in listed().items():
        assert not GPL.search(GCC_EXCEPTION.sub("", licence)), name


def test_what_is_looked_for_is_found_in_the_encoder_of_the_tests() -> None:
    assert "pillow-heif" not in INSTALLED
    assert GPL.search(notices("pillow-heif"))
    assert "libx265" in bundled("pillow-heif")
    assert "libx265" not in listed()


def test_pillow_has_no_library_that_its_own_bill_calls_gpl() -> None:
    """Pillow can be built with libimagequant; its wheels are not."""
    from PIL import features

    assert not features.check("libimagequant")


def test_the_wheel_has_the_licences_of_what_it_ships() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license-files"] == [
        "LICENSE",
        "plantood/model/starter/NOTICE.md",
        "plantood/model/starter/samples/ATTRIBUTION.md",
    ]
    assert all((ROOT / name).is_file() for name in project["license-files"])
    notice = (ROOT / "plantood" / "model" / "starter" / "NOTICE.md").read_text(encoding="utf-8")
    for words in ("EfficientNet-Lite0", "Apache", "ImageNet", "6,338"):
        assert words in " ".join(notice.split())


def test_every_source_that_the_starter_gate_learned_from_is_in_the_document() -> None:
    card = (starter_dir() / "card.md").read_text(encoding="utf-8")
    data = card.partition("## Training data")[2].partition("##")[0]
    sources = re.findall(r"^\| (\w+) \| (?:plant|other) \|", data, re.MULTILINE)
    assert len(sources) == 17
    assert [source for source in sources if source not in LICENCES] == []
    assert "(licences.md)" in (ROOT / "docs" / "starter.md").read_text(encoding="utf-8")
