"""What exists is named in the documents."""

from __future__ import annotations

import re
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
from tests.docs.documents import README, ROOT, TEXT


@pytest.mark.parametrize("name", [row[0].strip("`") for row in documentation()])
def test_every_setting(name: str) -> None:
    assert name in TEXT


def test_every_option_that_mining_may_change_on_a_finished_round() -> None:
    from plantood.training.mining.command import mine
    from plantood.training.mining.mine import SELECTION

    document = (ROOT / "docs" / "mining.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"With another .*? it only chooses anew", document, re.DOTALL)
    (helped,) = re.findall(r"With another .*? it only chooses\s+anew", mine.help or "", re.DOTALL)
    options = {f"--{name.replace('_', '-')}" for name in SELECTION}
    assert set(re.findall(r"--[a-z-]+", told)) == options
    assert set(re.findall(r"--[a-z-]+", helped)) == options


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason(code: ReasonCode) -> None:
    table = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    assert f"\n| `{code.value}` |" in table


@pytest.mark.parametrize("field", list(Verdict.model_fields))
def test_every_field_of_a_verdict(field: str) -> None:
    assert f'"{field}"' in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "metric", [metric.describe()[0].name for metric in METRICS + COMPOSED_METRICS]
)
def test_every_metric(metric: str) -> None:
    assert metric in TEXT


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_kind_of_failure(kind: FailureKind) -> None:
    assert f"| `{kind.value}` |" in TEXT


@pytest.mark.parametrize("outcome", get_args(OnGateError))
def test_every_outcome_of_a_failure(outcome: str) -> None:
    assert re.search(rf"^\| `{outcome}`", TEXT, re.MULTILINE)


def test_every_endpoint() -> None:
    from plantood.service import PlantGate

    paths = complete(PlantGate.openapi_spec.asdict())["paths"]
    assert not [path for path in paths if f"{path}`" not in TEXT]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    parts = command.commands if isinstance(command, click.Group) else [""]
    for part in parts:
        assert f"plantood {name} {part}".strip() in TEXT


def test_the_readme_is_a_front_door() -> None:
    assert README.stat().st_size <= 8192
