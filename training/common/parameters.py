"""Kinds of value on the command line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from plantood.errors import PlantoodError
from plantood.training.common.settings import HEAD_NAMES
from plantood.training.files.paths import spelled

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Number(click.FloatRange):
    """A number within bounds. Click's own lets ``nan`` through any bound, and ``inf``."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number, which is finite."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class GateName(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.4
    """Name of a gate model in the store, without a version."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check that the store takes it."""
        from plantood.tags import tag_of  # not for help: it imports BentoML

        try:
            tag = tag_of(value)
        except PlantoodError as error:
            self.fail(str(error), param, ctx)
        if ":" in value:
            self.fail(f"{value!r} has a version; give a name alone.", param, ctx)
        return tag.name


class HeadList(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.4
    """Names of heads, separated by commas."""

    name = "NAMES"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Check the names and drop repetitions."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip().lower() for name in value.split(",")))
        if unknown := [name for name in names if name not in HEAD_NAMES]:
            self.fail(f"{', '.join(unknown)}: heads are {', '.join(HEAD_NAMES)}", param, ctx)
        return names


class SourceSet(click.ParamType):  # type: ignore[type-arg]
    """Names of two sources or more that belong together."""

    name = "SOURCE,SOURCE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[str]:
        """The names, spelled as in all texts."""
        if isinstance(value, frozenset):
            return value
        names = frozenset(spelled(name.strip()) for name in value.split(",") if name.strip())
        if len(names) < 2:
            self.fail(f"{value!r}: name two sources or more, separated by commas", param, ctx)
        return names
