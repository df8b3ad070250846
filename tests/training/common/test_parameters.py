from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from plantood.cli import main
from plantood.training.common.parameters import GateName, Number, SourceSet, TextFile


def commands(group: click.Group) -> Iterator[click.Command]:
    """All commands below one, however deep."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "infinity"])
@pytest.mark.parametrize("bounds", [Number(), Number(0), Number(0, 1, min_open=True)])
def test_what_is_not_finite_is_no_number(value: str, bounds: Number) -> None:
    with pytest.raises(click.BadParameter):
        bounds.convert(value, None, None)


def test_a_number_is_within_its_bounds() -> None:
    assert math.isclose(Number(0, 1).convert("0.25", None, None), 0.25)
    with pytest.raises(click.BadParameter):
        Number(0, 1).convert("1.1", None, None)


def test_every_number_of_a_command_line_is_finite() -> None:
    found = {
        f"{command.name} {parameter.opts[0]}": parameter.type
        for command in commands(main)
        for parameter in command.params
        if isinstance(parameter.type, click.types.FloatParamType)
    }
    assert len(found) > 20
    assert [name for name, kind in found.items() if not isinstance(kind, Number)] == []


def test_every_seed_is_one_that_numpy_takes() -> None:
    seeds = [
        parameter.type
        for command in commands(main)
        for parameter in command.params
        if parameter.name == "seed"
    ]
    assert len(seeds) > 3
    for kind in seeds:
        assert kind.convert("4294967295", None, None) == 2**32 - 1
        for value in ("-1", "4294967296"):
            with pytest.raises(click.BadParameter, match="not in the range"):
                kind.convert(value, None, None)


def test_a_text_that_cannot_be_read_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("Fotos: für alle", encoding="utf-8")
    assert TextFile().convert(tmp_path / "notes.md", None, None) == "Fotos: für alle"
    (tmp_path / "latin.md").write_text("für alle", encoding="latin-1")
    for name in ("latin.md", "none.md", "."):
        with pytest.raises(click.BadParameter):
            TextFile().convert(tmp_path / name, None, None)


def test_sources_that_belong_together_are_two_or_more() -> None:
    assert SourceSet().convert(" a, b", None, None) == {"a", "b"}
    with pytest.raises(click.BadParameter, match="name two sources or more"):
        SourceSet().convert("a,", None, None)


@pytest.mark.parametrize(
    ("name", "said"), [("bad name!", "is no tag"), ("", "is no tag"), ("mine:1", "has a version")]
)
def test_a_name_that_the_store_would_not_take_is_refused_at_the_start(name: str, said: str) -> None:
    with pytest.raises(click.BadParameter, match=said):
        GateName().convert(name, None, None)
    assert GateName().convert("mine", None, None) == "mine"
