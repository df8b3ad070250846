"""The ``plantood`` command. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import ipaddress
import json
import math
import os
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plantood import __version__
from plantood.errors import PlantoodError

if TYPE_CHECKING:
    from plantood.gate import Gate
    from plantood.verdict import Verdict

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"}
    | {".heic", ".heif"}
)
"""Files of a folder that are taken for photos; a file named by itself may be called anything."""

SAMPLES = Path(__file__).parent / "starter" / "samples"
EXIT_RETAKE, EXIT_NOT_JUDGED = 1, 2
LONGEST_TMPDIR = 60
"""Characters of the folder in which BentoML makes its sockets, such as
``/bentoml-uds-12345678/140123456789012.sock``; it fails where the whole has more than 102."""

_DIGITS = 4
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


class NotJudged(click.ClickException):
    """Photos could not be judged; told apart from photos that have to be taken again."""

    exit_code = EXIT_NOT_JUDGED


class Check(click.Command):
    """A command that judges: what keeps it from that has an exit status of its own."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except PlantoodError as error:
            raise NotJudged(str(error)) from error


EPILOG = """\b
For completion with the Tab key, once for each shell, or in its start-up file:
  bash:  eval "$(_PLANTOOD_COMPLETE=bash_source plantood)"
  zsh:   eval "$(_PLANTOOD_COMPLETE=zsh_source plantood)"
  fish:  _PLANTOOD_COMPLETE=fish_source plantood | source
"""


@click.group(
    cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG
)
@click.version_option(__version__, prog_name="plantood")
def main() -> None:
    """A gate in front of plant-disease detectors: accept a photo, or ask for another one."""


@main.command(cls=Check)
@click.argument("photos", nargs=-1, metavar="[PHOTO]...", type=click.Path(allow_dash=True))
@click.option("--gate", help="Tag in the model store. Default: PLANTOOD_GATE, or the newest.")
@click.option("--language", help="Of the messages: en, fr, sw. Default: PLANTOOD_LANGUAGE, or en.")
@click.option(
    "--messages", type=click.Path(path_type=Path), help="JSON file with messages of your own."
)
@click.option(
    "--policy",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Thresholds that replace the gate's, written as in PLANTOOD_POLICY: plant_threshold=0.6",
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
@click.option("--fail-on-retake", is_flag=True, help="Exit with 1 if a photo has to be retaken.")
def check(
    photos: tuple[str, ...],
    *,
    gate: str | None,
    language: str | None,
    messages: Path | None,
    policy: tuple[str, ...],
    as_json: bool,
    fail_on_retake: bool,
) -> None:
    """Judge photos: files, folders (searched through), or - for one from the standard input.

    Without PHOTO, judges the samples that ship. With --json, every line is an object: the verdict
    as the service gives it, its numbers rounded, and the name under "photo". If the model store has
    no gate, the starter gate is put there first.

    The exit status is 0 if every photo was judged, also if some have to be taken again (1 with
    --fail-on-retake), and 2 if a file or folder is missing or nothing could be judged.
    """
    names, troubles = _find(photos or (str(SAMPLES),))
    accepted = 0
    if names:
        judge = _load(gate, messages, policy)
        read = (sys.stdin.buffer.read() if name == _STDIN else name for name in names)
        show = _print_json if as_json else _print_verdicts
        accepted = show(names, judge.iter_check(read, language), judge.tag)
    for trouble in troubles:
        click.echo(f"Error: {trouble}", err=True)
    if troubles:
        sys.exit(EXIT_NOT_JUDGED)
    if fail_on_retake and accepted < len(names):
        sys.exit(EXIT_RETAKE)


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--host",
    default="0.0.0.0",
    show_default=True,
    help="IP address to listen on; :: is all, of IPv6 too.",
)
@click.option("--gate", help="Tag in the model store; goes before PLANTOOD_GATE.")
def serve(port: int, host: str, gate: str | None) -> None:
    """Serve the gate over HTTP, with a page at / to try it. Settings: PLANTOOD_* variables."""
    environment = dict(os.environ)
    if gate:
        environment["PLANTOOD_GATE"] = gate
    address = _address(host)
    _ensure_servable(environment)
    _ensure_free(address, port)
    shown = "localhost" if address.is_unspecified else str(address)
    url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    click.echo(f"Starting the gate at {url}; stop it with Ctrl-C.", err=True)
    command = [sys.executable, "-m", "bentoml", "serve", "plantood.service:PlantGate"]
    sys.stdout.flush()
    os.execve(command[0], [*command, "--host", str(address), "--port", str(port)], environment)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of a table.")
def models(as_json: bool) -> None:
    """List the gates in the Bento model store, newest first, with their figures."""
    from dataclasses import asdict

    from plantood.model.store import damage, list_gates

    with _usable_store():
        gates = list_gates()
    damaged = {gate.tag: damage(gate.tag) for gate in gates}
    if as_json:
        listed = [asdict(gate) | {"damage": damaged[gate.tag]} for gate in gates]
        click.echo(json.dumps(_rounded(listed), default=str, indent=2))
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
    for tag, what in damaged.items():
        if what:
            click.echo(f"{tag} cannot be used: {what}", err=True)


def _find(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Files as named, folders as the photos within them, in order of their names.

    Returns:
        The photos, and in one sentence each what is missing.
    """
    found: list[str] = []
    troubles: list[str] = []
    for name in names:
        path = Path(name)
        try:
            if name == _STDIN or (path.exists() and not path.is_dir()):  # a pipe may be named too
                found.append(name)
            elif path.is_dir():
                inside = _photos_in(path, troubles)
                found += inside
                if not inside:
                    troubles.append(f"no photos in {name}")
            else:
                troubles.append(f"{name}: no such file or folder")
        except OSError as error:
            troubles.append(f"{name}: {error.strerror}")
    return found, troubles


def _photos_in(folder: Path, troubles: list[str]) -> list[str]:
    def note(error: OSError) -> None:
        troubles.append(f"{error.filename}: {error.strerror}")

    files = (Path(at, name) for at, _, names in os.walk(folder, onerror=note) for name in names)
    photos = (file for file in files if file.suffix.lower() in SUFFIXES)
    return [str(file) for file in sorted(photos) if file.is_file()]


def _load(tag: str | None, messages: Path | None, policy: Sequence[str]) -> Gate:
    from plantood.gate import Gate

    thresholds = _thresholds(policy) if policy else None
    with _usable_store():
        return Gate.load(tag, messages=messages, policy=thresholds)


def _thresholds(policy: Sequence[str]) -> dict[str, float | None]:
    from plantood.errors import SettingsError
    from plantood.settings import Settings, variable

    name = variable("policy")
    try:
        return Settings.from_environment({name: ",".join(policy)}).policy
    except SettingsError as error:
        raise SettingsError(str(error).replace(name, "--policy", 1)) from error


def _print_json(names: Sequence[str], verdicts: Iterable[Verdict], _: str) -> int:
    """Print lines of JSON; how many are accepted."""
    accepted = 0
    for name, verdict in zip(names, verdicts, strict=True):
        accepted += verdict.accepted
        click.echo(json.dumps({"photo": name, **_json(verdict)}))
    return accepted


def _json(verdict: Verdict) -> dict[str, Any]:
    """A verdict for people and files: rounded, but to no other verdict."""
    rounded = _rounded(verdict.model_dump(mode="json"))
    if verdict.plant_probability is not None:
        probability, _ = _beside(verdict.plant_probability, verdict.threshold, _DIGITS)
        rounded |= {"plant_probability": probability, "threshold": verdict.threshold}
    return rounded


def _rounded(value: Any) -> Any:
    """The same with numbers as they are read; what could not be measured is NaN, and no JSON."""
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value


def _beside(value: float, bound: float | None, digits: int) -> tuple[float, int]:
    """Round to so many digits, or as many more as it takes to stay on its side of a bound."""
    while bound is not None and digits < 17:
        if (round(value, digits) < bound) == (value < bound):
            break
        digits += 1
    return round(value, digits), digits


@contextmanager
def _usable_store() -> Iterator[None]:
    """Say in one sentence what would otherwise be a stack trace out of BentoML.

    Raises:
        PlantoodError: The Bento model store cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise PlantoodError(
            f"The Bento model store cannot be used ({error.filename}: {error.strerror}); set "
            "BENTOML_HOME to a folder that you may read and write."
        ) from error


def _with_progress(verdicts: Iterable[Verdict], total: int) -> Iterable[Verdict]:
    if total < _PROGRESS_FROM or not sys.stderr.isatty():
        return verdicts
    from rich.console import Console
    from rich.progress import track

    return track(verdicts, "Judging", total=total, console=Console(stderr=True), transient=True)


def _print_verdicts(names: Sequence[str], verdicts: Iterable[Verdict], tag: str) -> int:
    """Print a table; how many are accepted."""
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
    shown = _with_progress(verdicts, len(names))
    for name, verdict in zip(names, shown, strict=True):
        accepted += verdict.accepted
        probability = "-"
        if verdict.plant_probability is not None:
            value, digits = _beside(verdict.plant_probability, verdict.threshold, 3)
            probability = f"{value:.{digits}f}"
        table.add_row(
            Text(os.path.relpath(name, SAMPLES) if name.startswith(str(SAMPLES)) else name),
            Text(verdict.verdict, "green" if verdict.accepted else "yellow"),
            probability,
            Text("\n".join(f"{reason.code}: {reason.message}" for reason in verdict.reasons)),
        )
    console = Console()
    console.print(table)
    console.print(f"{accepted} of {len(names)} accepted by {tag}", highlight=False)
    return accepted


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that BentoML can listen on; it knows no names.

    Raises:
        ClickException: It is none.
    """
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise click.ClickException(
            f"--host takes an IP address, such as 127.0.0.1 or ::1, not {host!r}"
        ) from None


def _ensure_servable(environment: dict[str, str]) -> None:
    """Find out what would stop the service, before anything says that it starts.

    Raises:
        PlantoodError: A setting cannot be used, or the store, or the gate.
    """
    from plantood.capture import ensure_usable
    from plantood.gate_reference import open_store
    from plantood.judge import Rules
    from plantood.model.store import load_gate
    from plantood.settings import Settings

    _ensure_short_sockets()
    settings = Settings.from_environment(environment)
    with _usable_store():
        gate = load_gate(open_store(settings.gate))
    Rules.of(gate, settings)
    ensure_usable(settings)


def _ensure_short_sockets() -> None:
    """Raise if BentoML could make no socket: it has no sentence for it, only an assertion.

    Raises:
        PlantoodError: There is no folder for temporary files, or its path is too long.
    """
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise PlantoodError(f"{error.strerror}; set TMPDIR to one.") from error
    if len(folder) > LONGEST_TMPDIR and "BENTOML_NO_UDS" not in os.environ:
        raise PlantoodError(
            f"TMPDIR={folder} has {len(folder)} characters, too many for the sockets between the "
            f"processes of the service; set it to a folder with at most {LONGEST_TMPDIR}, such as "
            "/tmp."
        )


def _ensure_free(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    """Say in one line what would otherwise be a stack trace of the server.

    Raises:
        ClickException: The address is in use, or not one of this machine.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    both = address == ipaddress.ip_address("::") and socket.has_dualstack_ipv6()
    try:
        with socket.create_server((str(address), port), family=family, dualstack_ipv6=both):
            pass
    except OSError as error:
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        raise click.ClickException(
            f"cannot listen on {shown}:{port} ({os.strerror(error.errno)}); choose another --port "
            "or --host"
        ) from error


if __name__ == "__main__":
    main()
