"""Kinds of value on the command line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from plantood.errors import PlantoodError
from plantood.training.common.settings import HEAD_NAMES
from plantood.training.files.paths import composed, spelled

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)
"""What NumPy and Keras both take."""


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


class TextFile(click.Path):
    """A file of UTF-8, of which the text is taken: what cannot be read is known at the start."""

    def __init__(self) -> None:
        """Of any name."""
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Its text; nothing of no file."""
        if not value:
            return ""
        path = Path(str(super().convert(value, param, ctx)))
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"{spelled(path)} is no text in UTF-8 that can be read: {error}", param, ctx)


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
        """The names as they are compared."""
        if isinstance(value, frozenset):
            return value
        names = frozenset(composed(name.strip()) for name in value.split(",") if name.strip())
        if len(names) < 2:
            self.fail(f"{value!r}: name two sources or more, separated by commas", param, ctx)
        return names
