"""``python -m training``: the table of its commands."""

from __future__ import annotations

import io
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


class Commands(OneLineErrors):
    """The group of all commands: what they print may hold names of files, whatever they are."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=SPELLING)
        return super().invoke(ctx)


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
