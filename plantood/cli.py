"""The ``plantood`` command. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plantood import __version__
from plantood.errors import PlantoodError

if TYPE_CHECKING:
    from plantood.verdict import Verdict

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"}
    | {".heic", ".heif"}
)
"""Files of a folder that are taken for photos; a file named by itself may be called anything."""

SAMPLES = Path(__file__).parent / "starter" / "samples"
DEFAULT_GATE = "plantood-gate:latest"
_PROGRESS_FROM = 20
_STDIN = "-"


class OneLineErrors(click.Group):
    """Shows what a user can cause as one line, without a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PlantoodError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="plantood")
def main() -> None:
    """A gate in front of plant-disease detectors: accept a photo, or ask for another one."""


@main.command()
@click.argument("photos", nargs=-1, metavar="[PHOTO]...")
@click.option("--gate", default=DEFAULT_GATE, show_default=True, help="Tag in the model store.")
@click.option("--language", default="en", show_default=True, help="Of the messages: en, fr, sw.")
@click.option(
    "--messages", type=click.Path(path_type=Path), help="JSON file with messages of your own."
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
def check(
    photos: tuple[str, ...], gate: str, language: str, messages: Path | None, as_json: bool
) -> None:
    """Judge photos: files, folders (searched through), or - for one from the standard input.

    Without PHOTO, judges the samples that ship. With --json, every line is an object: the verdict
    as the service gives it, and the name under "photo". If the model store has no gate, the
    starter gate is put there first. The exit code is 0 also if photos have to be taken again.
    """
    names = list(_find(photos or (str(SAMPLES),)))
    if not names:
        raise click.ClickException(f"no photos in {', '.join(photos)}")

    from plantood.gate import Gate
    from plantood.model.store import DEFAULT_NAME
    from plantood.starter import install_starter

    if gate.partition(":")[0] == DEFAULT_NAME:
        install_starter(DEFAULT_NAME)
    judge = Gate.load(gate, messages=messages)
    read = (sys.stdin.buffer.read() if name == _STDIN else name for name in names)
    verdicts = judge.iter_check(read, language)
    if as_json:
        for name, verdict in zip(names, verdicts, strict=True):
            click.echo(json.dumps({"photo": name, **verdict.model_dump(mode="json")}))
    else:
        _print_verdicts(names, _with_progress(verdicts, len(names)), judge.tag)


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")
@click.option("--gate", help="Tag in the model store; goes before PLANTOOD_GATE.")
def serve(port: int, host: str, gate: str | None) -> None:
    """Serve the gate over HTTP, with a page at / to try it. Settings: PLANTOOD_* variables."""
    from plantood.model.store import load_gate

    environment = dict(os.environ)
    if gate:
        environment["PLANTOOD_GATE"] = gate
        if gate != DEFAULT_GATE:
            load_gate(gate)  # fails here, in one line
    _ensure_free(host, port)
    click.echo(f"http://localhost:{port} serves the gate; stop it with Ctrl-C.", err=True)
    command = [sys.executable, "-m", "bentoml", "serve", "plantood.service:PlantGate"]
    sys.stdout.flush()
    os.execve(command[0], [*command, "--host", host, "--port", str(port)], environment)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of a table.")
def models(as_json: bool) -> None:
    """List the gates in the Bento model store, newest first, with their figures."""
    from dataclasses import asdict

    from plantood.model.store import list_gates

    gates = list_gates()
    if as_json:
        click.echo(json.dumps([asdict(gate) for gate in gates], default=str, indent=2))
        return
    if not gates:
        click.echo("The Bento model store has no gate; `plantood check` installs the starter.")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("Gate", overflow="fold")
    for heading in ("Accuracy", "F1", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Created", no_wrap=True)
    for gate in gates:
        made_of = ", ".join(filter(None, (gate.backbone, gate.head, gate.quantization)))
        figures = [
            f"{gate.metrics[name]:.3f}" if name in gate.metrics else "-"
            for name in ("accuracy", "f1")
        ]
        table.add_row(
            Text(gate.tag).append(f"\n{made_of}", "dim"),
            *figures,
            f"{gate.bytes / 1e6:.1f}",
            f"{gate.created:%Y-%m-%d}",
        )
    Console().print(table)


def _find(names: Iterable[str]) -> Iterator[str]:
    """Files as named, folders as the photos within them, in order of their names."""
    for name in names:
        path = Path(name)
        if name == _STDIN or path.is_file():
            yield name
        elif path.is_dir():
            found = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
            yield from (str(file) for file in sorted(found) if file.is_file())
        elif path.exists():
            yield name  # a pipe
        else:
            raise click.ClickException(f"{name}: no such file or folder")


def _with_progress(verdicts: Iterable[Verdict], total: int) -> Iterable[Verdict]:
    if total < _PROGRESS_FROM or not sys.stderr.isatty():
        return verdicts
    from rich.console import Console
    from rich.progress import track

    return track(verdicts, "Judging", total=total, console=Console(stderr=True), transient=True)


def _print_verdicts(names: list[str], verdicts: Iterable[Verdict], tag: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Photo", overflow="fold")
    table.add_column("Verdict")
    table.add_column("P(plant)", justify="right")
    table.add_column("Why", overflow="fold")
    accepted = 0
    for name, verdict in zip(names, verdicts, strict=True):
        accepted += verdict.accepted
        probability = verdict.plant_probability
        table.add_row(
            Text(os.path.relpath(name, SAMPLES) if name.startswith(str(SAMPLES)) else name),
            Text(verdict.verdict, "green" if verdict.accepted else "yellow"),
            "-" if probability is None else f"{probability:.3f}",
            Text("\n".join(f"{reason.code}: {reason.message}" for reason in verdict.reasons)),
        )
    console = Console()
    console.print(table)
    console.print(f"{accepted} of {len(names)} accepted by {tag}", highlight=False)


def _ensure_free(host: str, port: int) -> None:
    """Say in one line what would otherwise be a stack trace of the server.

    Raises:
        ClickException: The address is in use, or not one of this machine.
    """
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host"
        ) from error


if __name__ == "__main__":
    main()
