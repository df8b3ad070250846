"""``python -m training``: the table of its commands."""

from __future__ import annotations

import errno
import io
import signal
import sqlite3
import sys
from typing import Any

import click

from plantood.cli import OneLineErrors
from training.commands import evaluate, leave_one_out, train
from training.finetune.command import finetune
from training.lineage.command import rounds
from training.mining.command import mine
from training.negatives.command import negatives
from training.paths import SPELLING
from training.review.command import review
from training.review.exchange.command import labels
from training.starter.command import starter

INTERRUPTED = "Interrupted. Run the same command again: it goes on from what is finished."
EXTRA = ("tensorflow", "keras", "h5py", "onnx", "tf2onnx", "matplotlib")
"""Packages that serving does without."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _sentence(error: Exception) -> str:
    """What a disk or file system refused, and what to do."""
    if isinstance(error, sqlite3.OperationalError):
        return f"The list of the photos cannot be kept ({error}); make room, and run it again."
    why = error.strerror or str(error)
    place = f"{error.filename} " if error.filename else "A file "
    what = "make room" if error.errno in FULL else "correct it, or choose another place"
    return f"{place}cannot be read or written ({why}); {what}, and run the same command again."


class Commands(OneLineErrors):
    """The group of all commands: what they print may hold names of files, whatever they are."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=SPELLING)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(f"\n{INTERRUPTED}", err=True)
            ctx.exit(128 + signal.SIGINT)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRA:
                raise
            raise click.ClickException(
                f"Training needs {package}, which is not installed: "
                'pip install "plantood[training]".'
            ) from error
        except (OSError, sqlite3.OperationalError) as error:
            if isinstance(error, (ConnectionError, TimeoutError, ChildProcessError)):
                raise  # no disk's; a broken pipe among them: whoever reads has enough of it
            raise click.ClickException(_sentence(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train, measure and store gates.

    \b
    python -m training train photos/ --backbone efficientnet_lite0 --weights starter
    python -m training evaluate plantood-gate:latest other_photos/

    Each command has its own --help.
    """


for command in (
    *(train, leave_one_out, evaluate),
    *(mine, review, labels, negatives, finetune, rounds),
    starter,
):
    main.add_command(command)
