"""The documents are held to the code: what is named there exists, and what exists is named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import click
import pytest

from plantood.cli import COMMANDS, main
from plantood.compose.gate import OnGateError
from plantood.http.openapi import complete
from plantood.judging.failures import FailureKind
from plantood.judging.prometheus import COMPOSED_METRICS, METRICS
from plantood.settings import documentation
from plantood.verdict import ReasonCode, Verdict

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = README + "".join(
    path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))
)


def command_of(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


def options_of(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def shown_commands() -> list[str]:
    """Lines of the console blocks, joined where they go on, without the prompt and comments."""
    blocks = re.findall(r"```console\n(.*?)```", DOCUMENTS, re.DOTALL)
    text = "\n".join(blocks).replace("\\\n", " ")
    return [
        line.removeprefix("$ ").partition("  #")[0].strip()
        for line in text.splitlines()
        if line.removeprefix("$ ").startswith(("plantood ", "python -m ", "make "))
    ]


@pytest.mark.parametrize("name", [row[0].strip("`") for row in documentation()])
def test_every_setting_is_documented(name: str) -> None:
    assert name in DOCUMENTS


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_is_documented(code: ReasonCode) -> None:
    assert f"`{code.value}`" in README


@pytest.mark.parametrize("field", list(Verdict.model_fields))
def test_every_field_of_a_verdict_is_shown(field: str) -> None:
    assert f'"{field}"' in README


@pytest.mark.parametrize(
    "metric", [metric.describe()[0].name for metric in METRICS + COMPOSED_METRICS]
)
def test_every_metric_is_documented(metric: str) -> None:
    assert metric in DOCUMENTS


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_kind_of_failure_is_documented(kind: FailureKind) -> None:
    assert f"| `{kind.value}` |" in DOCUMENTS


@pytest.mark.parametrize("outcome", get_args(OnGateError))
def test_every_outcome_of_a_failure_is_documented(outcome: str) -> None:
    assert re.search(rf"^\| `{outcome}`", DOCUMENTS, re.MULTILINE)


def test_every_endpoint_is_documented() -> None:
    from plantood.service import PlantGate

    paths = complete(PlantGate.openapi_spec.asdict())["paths"]
    assert not [path for path in paths if f"{path}`" not in DOCUMENTS]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    command = command_of(name)
    parts = command.commands if isinstance(command, click.Group) else [""]
    for part in parts:
        assert f"plantood {name} {part}".strip() in DOCUMENTS


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_shown_exists(line: str) -> None:
    words = shlex.split(line)
    if words[0] == "plantood":
        command = command_of(words[1])
        if isinstance(command, click.Group):
            command = command.commands[words[2]]
        unknown = {w for w in words if w.startswith("--")} - options_of(command)
        assert not unknown
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE)
    else:
        path = ROOT / Path(*words[2].split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
