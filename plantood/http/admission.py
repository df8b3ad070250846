"""Which requests are let in, before anything reads them.

Whatever the server and BentoML may take in two ways is refused: two headers of which each reads
another one, a content type that only one of them recognizes, a path that would write a line of its
own into a log. And no more are judged at a time than there is room for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

from python_multipart.multipart import parse_options_header
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plantood.refusals import RequestRefused, error

PICKLE = "application/vnd.bentoml+pickle"
"""What BentoML speaks between the services of one bento, never on the public port."""

_ONLY_ONE = frozenset(
    {b"content-type", b"content-length", b"content-encoding", b"transfer-encoding", b"host"}
)
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CONTENT_TYPE = re.compile(rb"%s/%s[ \t]*(;[\t\x20-\x7e]*)?" % (_TOKEN, _TOKEN))
_MAX_CONTENT_TYPE = 512
_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})
"""That a form may name. BentoML's own APIs decode text by any that Python knows, in the event loop;
punycode takes a minute for a megabyte."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def ensure_plain(scope: Scope, pickles: bool = False) -> None:
    """Refuse a request whose path or headers can be read in two ways (RFC 9110, section 5.3).

    Args:
        scope: Of a request.
        pickles: Whether it may be one of another service of the bento.

    Raises:
        RequestRefused: 400, or 415 for a content type or an encoding of the body.
    """
    if _CONTROL.search(scope["path"]):
        raise RequestRefused("The path has control characters.", HTTPStatus.BAD_REQUEST)
    seen: dict[bytes, bytes] = {}
    for name, value in scope.get("headers", ()):
        if name in _ONLY_ONE:
            if name in seen:
                raise RequestRefused(
                    f"There are several headers {name.decode()}; send one.", HTTPStatus.BAD_REQUEST
                )
            seen[name] = value
    kind = seen.get(b"content-type", b"").strip()
    if kind and (len(kind) > _MAX_CONTENT_TYPE or not _CONTENT_TYPE.fullmatch(kind)):
        raise RequestRefused(
            "The header content-type is none; send one such as image/jpeg.", HTTPStatus.BAD_REQUEST
        )
    if kind.partition(b";")[0].strip().lower() == PICKLE.encode() and not (
        pickles and kind == PICKLE.encode()
    ):
        raise RequestRefused(
            f"{PICKLE} is not taken from outside; send the photo itself.",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    _ensure_charset(kind)
    _ensure_not_encoded(b"content-encoding", seen, (b"", b"identity"))
    _ensure_not_encoded(b"transfer-encoding", seen, (b"chunked",))
    if scope.get("http_version") == "1.1" and b"host" not in seen:
        raise RequestRefused("There is no header host; send one.", HTTPStatus.BAD_REQUEST)


def _ensure_charset(kind: bytes) -> None:
    """Refuse a form that says that its text is in any other encoding than UTF-8.

    Raises:
        RequestRefused: 400.
    """
    name, options = parse_options_header(kind)  # as those do who decode it
    charset = options.get(b"charset", b"utf-8").lower()
    if name.startswith(b"multipart/") and charset not in _CHARSETS:
        raise RequestRefused(
            "The text of a form is UTF-8; name no charset.", HTTPStatus.BAD_REQUEST
        )


def _ensure_not_encoded(name: bytes, seen: dict[bytes, bytes], allowed: Sequence[bytes]) -> None:
    """Refuse a body that has to be decoded before it is a photo.

    Raises:
        RequestRefused: 415.
    """
    encoding = seen.get(name, allowed[0]).strip().lower()
    if encoding not in allowed:
        shown = ascii(encoding[:40].decode("latin-1"))[1:-1]
        raise RequestRefused(
            f"The body is sent with the {name.decode()} {shown}; send the photo as it is.",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )


class PlainRequests:
    """ASGI middleware: lets in what :func:`ensure_plain` does, and never asks for a part of a file.

    Whoever serves a file would refuse a range that there is not by an answer of his own, and
    nothing here is so large that it is fetched in parts. A server may ignore the header (RFC 9110,
    section 14.2).
    """

    def __init__(self, app: ASGIApp, pickles: bool) -> None:
        self.app = app
        self.pickles = pickles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it unread."""
        answer = self.app
        if scope["type"] == "http":
            try:
                ensure_plain(scope, self.pickles)
                headers = [header for header in scope["headers"] if header[0] != b"range"]
                scope = {**scope, "headers": headers}
            except RequestRefused as refused:
                answer = error(str(refused), refused.error_code)
        await answer(scope, receive, send)


class Places:
    """ASGI middleware: so many requests at a time, counted from the end of their upload.

    BentoML's own ``max_concurrency`` counts from the headers on, so that a few phones with a bad
    line, or one stranger with as many sockets, shut out everybody else.
    """

    def __init__(self, app: ASGIApp, places: int) -> None:
        self.app = app
        self.places = places
        self.taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; reading the end of its body raises `RequestRefused` (429)."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        has_place = False

        async def receive_and_take() -> Message:
            nonlocal has_place
            event = await receive()
            if event["type"] == "http.request" and not event.get("more_body") and not has_place:
                if self.taken >= self.places:
                    raise RequestRefused(
                        "Too many photos are being judged at the moment; send it again in a few "
                        "seconds.",
                        HTTPStatus.TOO_MANY_REQUESTS,
                    )
                has_place = True
                self.taken += 1
            return event

        try:
            await self.app(scope, receive_and_take, send)
        finally:
            self.taken -= has_place
