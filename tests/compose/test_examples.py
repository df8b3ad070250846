"""The examples of docs/compose.md are these files, and these files run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compose.examples import EXAMPLES, TARGETS, assert_it_judges
from tests.service.server import ROOT, Server, serving

DOCUMENT = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TARGETS)
def test_the_document_shows_the_file(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in DOCUMENT
    assert f"`examples/compose/{name}.py`" in DOCUMENT
    code = [line for line in source.splitlines()[1:] if line.strip()]
    assert len(code) <= 16


def test_the_document_shows_their_detector() -> None:
    source = (EXAMPLES / "my_detector.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in DOCUMENT


def test_the_readme_shows_the_decorator_in_a_few_lines() -> None:
    source = (EXAMPLES / "decorated.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len([line for line in source.splitlines() if line.strip()]) <= 15


def test_every_file_is_one_of_them_or_their_detector() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*TARGETS, "my_detector"}


@pytest.mark.parametrize("name", TARGETS)
def test_the_file_runs(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    variables: dict[str, str] = {}
    if name == "elsewhere":
        gate: Server = request.getfixturevalue("elsewhere")
        variables["GATE_URL"] = gate.url
    with serving(tmp_path, TARGETS[name], folder=EXAMPLES, **variables) as server:
        assert_it_judges(name, server)
