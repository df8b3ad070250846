"""Runs the commands of this project as they are typed, in a folder of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.flywheel.bench import production_labels
from plantood.training.finetune.settings import NOT_ACCEPTED
from plantood.training.process.progress import console
from plantood.training.review.client import ReviewClient

ROOT = Path(__file__).resolve().parents[2]
REVIEWER = "pool_labels"


class Commands:
    """Runs them one after the other in one folder."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        """Run in ``folder``, with further environment variables."""
        self.folder = folder
        # The folder is not the one that `training` lies in.
        self.environment = os.environ | {"PYTHONPATH": str(ROOT)} | dict(variables or {})

    def __call__(self, *words: str | Path, allowed: tuple[int, ...] = (0,)) -> str:
        """Run one, and return its standard output.

        Raises:
            ClickException: it ended with a status that is not among the allowed ones.
        """
        with self._started(*words) as process:
            output, _ = process.communicate()
        console.print(output, markup=False)
        if process.returncode not in allowed:
            raise click.ClickException(f"it ended with status {process.returncode}")
        return output

    def gate(self, *words: str | Path) -> str:
        """Run one that trains, and return the tag that it saved, be it a rejected one.

        That of the parent, if nothing was better than it.
        """
        output = self(*words, allowed=(0, NOT_ACCEPTED))
        saved = [line for line in output.splitlines() if line.startswith("Saved ")]
        return saved[0].split(" as ")[1].split(",")[0] if saved else str(words[1])

    def review(self, name: str, port: int = 0) -> str:
        """Label a round as its reviewer would, through the server's API; return its output."""
        labels = production_labels()
        with self._started("review", name, "--no-browser", "--port", port) as server:
            assert server.stdout is not None
            lines = []
            try:
                for line in server.stdout:
                    lines.append(line)
                    if line.startswith("http"):
                        break
                with ReviewClient(lines[-1].strip(), REVIEWER) as client:
                    done = {decision["id"] for decision in client.decisions()}
                    for photo in client.photos():
                        if photo["id"] not in done:
                            client.label(photo["id"], labels.get(photo["id"], "unsure"))
            finally:
                server.send_signal(signal.SIGINT)
            lines += server.stdout
        return "".join(lines)

    @contextmanager
    def _started(self, *words: str | Path | int) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "plantood", *map(str, words)]
        console.print(f"[bold]python {' '.join(command[1:])[:400]}[/]")
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            yield process
