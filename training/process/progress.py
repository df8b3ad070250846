"""Progress bars: one look for everything that takes long, on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from plantood.training.files.paths import spelled

T = TypeVar("T")

console = Console(stderr=True, highlight=False)
"""Where progress and warnings go; results go to standard output."""


def say(text: str, style: str | None = None) -> None:
    """Print a line to standard error, as it is: names of files may look like markup."""
    console.print(spelled(text), style=style, markup=False, soft_wrap=True)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A live display for one or several bars; outside a terminal only their last state is shown."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bars:
        yield bars


def track(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Iterate with a bar; nothing is shown if there is nothing to do."""
    if not total:
        yield from items
        return
    with progress_bars() as bars:
        task = bars.add_task(description, total=total, note="")
        for item in items:
            yield item
            bars.advance(task)
