"""The house: what stands above imports what stands below, and never the other way round."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from plantood.defaults import DEFAULT_GATE, GATE_NAME

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join((*package.split("."), *path.relative_to(ROOT / folder).with_suffix("").parts)): path
    for folder, package in (("plantood", "plantood"), ("training", "plantood.training"))
    for path in (ROOT / folder).rglob("*.py")
}
PLACES = {module.removesuffix(".__init__") for module in MODULES}


def imported(module: str) -> Iterator[str]:
    """Modules of ours that a module imports, also within its functions."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                found = whole if whole in PLACES else node.module
                if found in PLACES:
                    yield found


def folder(module: str, depth: int) -> str:
    """The folder of a module, or the module itself where it is not as deep."""
    return ".".join(module.removesuffix(".__init__").split(".")[:depth])


@pytest.mark.parametrize(
    ("within", "depth"), [("plantood", 2), ("plantood.training", 3)], ids=["plantood", "training"]
)
def test_no_two_folders_import_each_other(within: str, depth: int) -> None:
    below: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for other in imported(module):
            here, there = folder(module, depth), folder(other, depth)
            if here != there and here.startswith(f"{within}.") and there.startswith(f"{within}."):
                below[here].add(there)
    try:
        floors = list(TopologicalSorter(below).static_order())
    except CycleError as circle:
        pytest.fail(f"they import each other: {' -> '.join(circle.args[1])}")
    assert len(floors) > 5


def test_what_serves_imports_nothing_that_trains() -> None:
    serving = [module for module in MODULES if not module.startswith("plantood.training")]
    assert not [
        (module, other)
        for module in serving
        for other in imported(module)
        if other.startswith("plantood.training")
    ]


def test_the_gate_s_name_stands_in_one_place() -> None:
    named = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in (GATE_NAME, DEFAULT_GATE)
    }
    assert named == {"plantood.defaults"}


@pytest.mark.parametrize("place", ["plantood", "training"])
def test_what_is_imported_is_declared(place: str) -> None:
    """And not only there because another package needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    listed = list(project["dependencies"])
    if place == "training":
        listed += [line for name in ("training", "ray", "parquet") for line in extras[name]]
    declared = {canonicalize_name(Requirement(line).name) for line in listed}
    of_module = packages_distributions()
    missing = {
        module
        for path in (ROOT / place).rglob("*.py")
        for module in foreign(path)
        if not declared & set(map(canonicalize_name, of_module.get(module, [])))
    }
    assert not missing


def foreign(path: Path) -> Iterator[str]:
    """Names of the modules of others that a file imports, up to the first dot."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            if (top := name.split(".")[0]) not in sys.stdlib_module_names | {"plantood"}:
                yield top
