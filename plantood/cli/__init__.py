"""The ``plantood`` command: the table of its commands, and what becomes of their errors.

A command's module is imported when it is asked for, and heavy modules by the command that needs
them: judging photos does not wait for TensorFlow, nor need it.
"""

from __future__ import annotations

import errno
import io
import signal
import sqlite3
import sys
from importlib import import_module
from typing import Any

import click

from plantood import __version__
from plantood.defaults import with_extra
from plantood.errors import PlantoodError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INTERRUPTED = "Interrupted. Run the same command again: it goes on from what is finished."
EXTRA = (
    *("tensorflow", "keras", "h5py", "onnx", "tf2onnx"),
    *("jinja2", "markupsafe", "matplotlib"),
    *("scipy", "sklearn"),
)
"""What is imported of the extra `training`."""

_JUDGING = {
    "check": "plantood.cli.check",
    "serve": "plantood.cli.serve",
    "models": "plantood.cli.models",
}
IMPROVING = {
    "adapt": "plantood.training.adapt.command",
    "mine": "plantood.training.mining.command",
    "review": "plantood.training.review.command",
    "labels": "plantood.training.review.exchange.command",
    "negatives": "plantood.training.negatives.command",
}
TRAINING = {
    "train": "plantood.training.train.command",
    "leave-one-out": "plantood.training.train.command",
    "evaluate": "plantood.training.train.command",
    "finetune": "plantood.training.finetune.command",
    "rounds": "plantood.training.lineage.command",
    "starter": "plantood.training.starter.command",
}
COMMANDS = _JUDGING | IMPROVING | TRAINING
"""Each command and the module that has it, as an attribute of the same name."""

EPILOG = """\b
For completion with the Tab key, once for each shell, or in its start-up file:
  bash:  eval "$(_PLANTOOD_COMPLETE=bash_source plantood)"
  zsh:   eval "$(_PLANTOOD_COMPLETE=zsh_source plantood)"
  fish:  _PLANTOOD_COMPLETE=fish_source plantood | source
"""


class Commands(click.Group):
    """The group of all commands: what a user can cause is one sentence, without a stack trace."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Names, in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """A command, imported only now."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help text: what serving suffices for, and what needs an extra."""
        for title, names in (
            ("Judge and serve", _JUDGING),
            ("Improve (needs no more than serving)", IMPROVING),
            ("Train (needs the extra `training`)", TRAINING),
        ):
            commands = {name: self.get_command(ctx, name) for name in names}
            with formatter.section(title):
                formatter.write_dl(
                    [(n, c.get_short_help_str(60)) for n, c in commands.items() if c is not None]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # names of files are bytes
        try:
            return super().invoke(ctx)
        except PlantoodError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo(
                f"\n{INTERRUPTED if ctx.invoked_subcommand not in _JUDGING else ''}", err=True
            )
            ctx.exit(128 + signal.SIGINT)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRA:
                raise
            raise click.ClickException(
                f"`plantood {ctx.invoked_subcommand}` needs {package}, which is not installed: "
                f"{with_extra('training')}."
            ) from error
        except (OSError, sqlite3.OperationalError) as error:
            if isinstance(error, (ConnectionError, TimeoutError, ChildProcessError)):
                raise  # no disk's; a broken pipe among them: whoever reads has enough of it
            raise click.ClickException(_sentence(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__, prog_name="plantood")
def main() -> None:
    """A gate in front of plant-disease detectors: accept a photo, or ask for another one.

    Each command has its own --help.
    """


def _sentence(error: Exception) -> str:
    """What a disk or file system refused, and what to do."""
    if not isinstance(error, OSError):
        return f"The list of the photos cannot be kept ({error}); make room, and run it again."
    why = error.strerror or str(error)
    place = f"{error.filename} " if error.filename else "A file "
    what = "make room" if error.errno in FULL else "correct it, or choose another place"
    return f"{place}cannot be read or written ({why}); {what}, and run the same command again."
