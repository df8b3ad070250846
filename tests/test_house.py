"""The house: what stands above imports what stands below, and never the other way round."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

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
