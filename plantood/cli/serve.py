"""``plantood serve``: the service, once nothing can stop its start."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile

import click

from plantood.errors import PlantoodError

LONGEST_TMPDIR = 60
"""Characters of the folder in which BentoML makes its sockets, such as
``/bentoml-uds-12345678/140123456789012.sock``; it fails where the whole has more than 102."""


@click.command()
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
    from plantood.settings import variable

    address = _address(host)
    _ensure_servable(gate, port)
    _ensure_free(address, port)
    shown = "localhost" if address.is_unspecified else str(address)
    url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    click.echo(f"Starting the gate at {url}; stop it with Ctrl-C.", err=True)
    command = [sys.executable, "-m", "bentoml", "serve", "plantood.service:PlantGate"]
    sys.stdout.flush()
    environment = os.environ | ({variable("gate"): gate} if gate else {})
    os.execve(command[0], [*command, "--host", str(address), "--port", str(port)], environment)


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


def _ensure_servable(gate: str | None, port: int) -> None:
    """Find out what would stop the service, before anything says that it starts.

    Raises:
        PlantoodError: A setting cannot be used, or the store, or the gate.
    """
    from plantood.judging.rules import servable_gate
    from plantood.settings import Settings, variable

    _ensure_short_sockets()
    settings = Settings.from_environment()
    if settings.metrics_port == port:  # free it is until the service itself takes it
        raise PlantoodError(
            f"{variable('metrics_port')}={port} is the port on which photos are answered; name "
            "another, or unset it: then metrics are answered there, too."
        )
    servable_gate(settings, gate)


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
        why = os.strerror(error.errno) if error.errno else error
        raise click.ClickException(
            f"cannot listen on {shown}:{port} ({why}); choose another --port or --host"
        ) from error
