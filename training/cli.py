"""``python -m training``: the table of its commands."""

from __future__ import annotations

import sys
from typing import Any

import click

from plantood.errors import PlantoodError
from training.commands import evaluate, leave_one_out, train
from training.starter.command import starter


class Commands(click.Group):
    """A group that shows what a user can cause as one line, without stack trace."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and turn our own errors into a line on standard error and exit code 1."""
        try:
            return super().main(*args, **kwargs)
        except PlantoodError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    r"""Train, measure and store gates.

    \b
    python -m training train photos/ --backbone efficientnet_lite0 --weights starter
    python -m training evaluate plantood-gate:latest other_photos/

    Each command has its own --help.
    """


for command in (train, leave_one_out, evaluate, starter):
    main.add_command(command)
