"""Run the review server: its socket, its addresses, its token."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette

from plantood.errors import RoundError, SettingsError
from plantood.settings import Settings
from plantood.training.review.log import DecisionLog
from plantood.training.review.server.app import ReviewApp
from plantood.training.review.server.connection import CONNECTIONS, HEADER_BYTES, Connection
from plantood.training.review.server.guard import MIN_TOKEN, is_loopback, new_token
from plantood.training.review.server.pictures import Pictures
from plantood.training.rounds.layout import Round


def serve_review(
    round_: Round,
    *,
    host: str,
    port: int,
    token: str | None = None,
    names: Sequence[str] = (),
    reviewer: str | None = None,
    open_browser: bool = True,
    announce: Callable[[DecisionLog, list[str]], None],
) -> DecisionLog:
    """Serve until interrupted, and return what was decided.

    Args:
        round_: Mined.
        host: Address to listen on. Beyond loopback a token is asked for.
        port: 0 for any free one.
        token: None for a new one where one is needed; a given one is always asked for.
        names: Further names of this machine that browsers may use.
        reviewer: Name that the page begins with.
        open_browser: Show the page on this machine's screen, if it has one.
        announce: Called with the decisions and the addresses once the socket listens.

    Raises:
        RoundError: The round is not mined to its end, cannot be written, or a line is damaged.
        SettingsError: The address cannot be listened on, the token is too short or odd, or a
            variable ``PLANTOOD_*`` cannot be used.
    """
    if token is not None and len(token) < MIN_TOKEN:
        raise SettingsError(f"The token is too short; it needs {MIN_TOKEN} characters or more.")
    if token is not None and not (token.isascii() and token.isprintable()):
        raise SettingsError(
            "The token cannot stand in a header; take letters, digits and signs of ASCII alone."
        )
    limits = Settings.from_environment().limits
    if token is None and not is_loopback(host):
        token = new_token()
    try:
        log = DecisionLog(round_)
    except OSError as error:
        raise RoundError(
            f"No labels can be written into {round_.path} ({error.strerror}); make it writable."
        ) from error
    app = ReviewApp(log, Pictures(round_, limits), reviewer).asgi(token, (*names, host))
    with listen(host, port) as listening:
        urls = addresses(host, listening.getsockname()[1], token)
        announce(log, urls)
        if open_browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(urls[0],), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(configure(app)).run(sockets=[listening])
    return log


def configure(app: Starlette) -> uvicorn.Config:
    """How uvicorn serves: what a stranger sends is bounded, and nothing of it is in the log."""
    return uvicorn.Config(
        app,
        http=Connection,
        h11_max_incomplete_event_size=HEADER_BYTES,
        limit_concurrency=CONNECTIONS + 1,  # also of requests whose connection is gone
        log_level="error",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=5,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; requests wait in it until the server has started.

    Raises:
        SettingsError: The port is taken, or the address not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host."
        ) from error


def addresses(host: str, port: int, token: str | None) -> list[str]:
    """What to open, on this machine first."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:  # all of this machine's addresses
            hosts = ["127.0.0.1" if "." in host else "[::1]", socket.gethostname()]
            return [_address(name, port, token) for name in hosts]
    return [_address(f"[{host}]" if ":" in host else host, port, token)]


def _address(host: str, port: int, token: str | None) -> str:
    return f"http://{host}:{port}/" + (f"?{urlencode({'token': token})}" if token else "")


def _has_screen() -> bool:
    """False where only a text browser could be opened, which would take over the terminal."""
    return sys.platform != "linux" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
