"""Who may speak with the review server: checked before any route sees a request.

- The ``Host`` header must name this machine: a page elsewhere whose own name is made to point here
  (DNS rebinding) is refused, also on loopback, where no token is asked for.
- Other sites' pages can neither send decisions (``Sec-Fetch-Site``, ``Origin``) nor embed photos
  (``Cross-Origin-Resource-Policy``).
- Beyond loopback a token is needed: once in the address (then kept in a cookie that scripts cannot
  read), or as ``Authorization: Bearer``.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

COOKIE = "plantood_review"
MIN_TOKEN = 16
"""Characters of a token that somebody chooses himself."""

LONGEST_SENTENCE = 500
"""Characters of an error; it may repeat what was sent."""

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?", re.I)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """True if only this machine can reach a server that listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def new_token() -> str:
    """A token of 256 random bits that can stand in an address."""
    return secrets.token_urlsafe(32)


class Guard:
    """ASGI middleware around the review application.

    Args:
        app: The application.
        token: What to ask for; None on loopback.
        names: Names of this machine that a ``Host`` header may carry, beside ``localhost``, its own
            host name and IP addresses. The latter cannot be pointed elsewhere.
    """

    def __init__(self, app: Any, token: str | None = None, names: Iterable[str] = ()) -> None:
        self.app = app
        self.token = token
        own = (socket.gethostname(), socket.getfqdn()) if token else ()
        self.names = {name.lower().rstrip(".") for name in ("localhost", *own, *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is refused, pass everything else on, and add the headers to all answers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self.check(Request(scope)) or self.app
            await answer(scope, receive, send_with_headers)

    def check(self, request: Request) -> Response | None:
        """The answer to a request that may not pass; None if it may."""
        host = _HOST.fullmatch(request.headers.get("host", ""))
        if host is None or not self._is_this_machine(host["name"]):
            return refusal(
                "The address in the browser does not name this machine; use the one that the "
                "server printed, or name it with --allow-host.",
                HTTPStatus.MISDIRECTED_REQUEST,
            )
        if request.method not in ("GET", "HEAD") and not _from_own_page(request):
            return refusal("Another site's page may not decide here.", HTTPStatus.FORBIDDEN)
        return self._check_token(request, host["port"] or "80") if self.token else None

    def _is_this_machine(self, name: str) -> bool:
        name = name.strip("[]").lower()
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return name.rstrip(".") in self.names

    def _check_token(self, request: Request, port: str) -> Response | None:
        cookie = f"{COOKIE}_{port}"  # cookies do not tell ports apart
        given = request.query_params.get("token")
        if given is not None and request.url.path == "/" and self._is_token(given):
            # out of the address, the history, and what is copied from there
            home = RedirectResponse("/", HTTPStatus.SEE_OTHER)
            home.headers["Cache-Control"] = "no-store"
            home.set_cookie(
                cookie,
                given,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
            return home
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        bearer = bearer.strip() if scheme.lower() == "bearer" else ""
        if self._is_token(bearer) or self._is_token(request.cookies.get(cookie, "")):
            return None
        answer = refusal(
            "A token is needed: open the address that the server printed when it started.",
            HTTPStatus.UNAUTHORIZED,
        )
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self.token or "").encode())


def refusal(message: str, status: int) -> JSONResponse:
    """Every error of the server: ``{"error": "one sentence"}``, on one line that can be shown."""
    shown = message[:LONGEST_SENTENCE] + "..." * (len(message) > LONGEST_SENTENCE)
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in shown)
    return JSONResponse({"error": line}, status, {"Cache-Control": "no-store"})


def _from_own_page(request: Request) -> bool:
    """False for what a browser sends on behalf of another site.

    Browsers say where a request comes from in ``Sec-Fetch-Site``, older ones in ``Origin``; what
    sends neither is no browser.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:
        return False
