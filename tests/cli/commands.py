"""The command as a script or a terminal calls it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.cli.check import SAMPLES

MAIZE = str(SAMPLES / "maize_leaf.jpg")
BROKEN = str(SAMPLES / "broken_upload.jpg")
SOIL = str(SAMPLES / "bare_soil.jpg")
EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 2
EXIT_RETAKE, EXIT_NOT_JUDGED = 1, 2


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)


def lines(result: Result, exit_code: int = EXIT_OK) -> list[dict]:
    assert result.exit_code == exit_code
    return [json.loads(line) for line in result.stdout.splitlines()]


def plantood(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process and an environment of its own."""
    return subprocess.run(
        [sys.executable, "-m", "plantood", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def folder_of_length(characters: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short) / "".ljust(characters - len(short) - 1, "x")
        folder.mkdir()
        yield folder
