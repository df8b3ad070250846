"""What the commands of training print and write."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich.console import Console

from plantood.training.common.shared import VARIABLE, shared_dir
from plantood.training.files.paths import spelled


def print_results(*lines: object) -> None:
    """Print results: tables as wide as they are if the output is a file."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 240
    for line in lines:
        console.print(spelled(line) if isinstance(line, str) else line, markup=False)


def write_table(document: Path | None, name: str | None, default: str, text: str) -> None:
    """Write a table with the command that made it, as it was typed on whichever machine."""
    if document is not None:
        from plantood.training.common.tables import write_between_markers

        command = shlex.join(["plantood", *map(spelled, sys.argv[1:])])
        if shared := shared_dir():
            command = command.replace(str(shared), f"${VARIABLE}")
        write_between_markers(document, name or default, f"```console\n$ {command}\n```\n\n{text}")
