"""Requests as strangers send them: hypothesis draws bodies that no client of ours makes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from starlette.requests import Request

KINDS = st.sampled_from(
    [
        b"multipart/form-data; boundary=b",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary="b',
        b"multipart/form-data; boundary=b; charset=none",
        b"multipart/form-data; boundary=b; charset=punycode",
        b"multipart/form-data; boundary=b; charset=undefined",
        b"multipart/mixed; boundary=b",
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"image/jpeg",
        b"",
    ]
) | st.binary(max_size=40)
NAMES = st.sampled_from([b"image", b"images", b"language", b"x", b""]) | st.binary(max_size=10)
CONTENTS = st.binary(max_size=80) | st.sampled_from(
    [b"\xff\xd8", b"/9j/", b'"fr"', b'"\\ud800"', b"["]
)


@st.composite
def parts(draw: st.DrawFn) -> bytes:
    """One part of a form; its headers may be anything."""
    usual = draw(st.sampled_from([True, True, True, False]))
    name = draw(st.sampled_from([b"image", b"images"]) if usual else NAMES)
    lines = [b'Content-Disposition: form-data; name="' + name + b'"']
    if usual or draw(st.booleans()):
        lines[0] += b'; filename="' + (b"a.jpg" if usual else draw(NAMES)) + b'"'
    if not usual:
        lines += draw(st.lists(st.binary(max_size=30), max_size=2))
        lines.append(b"Content-Type: " + draw(KINDS))
        lines = draw(st.permutations(lines))[draw(st.integers(0, 1)) :]
    return b"--b\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + draw(CONTENTS) + b"\r\n"


FORMS = st.builds(
    lambda found, end: b"".join(found) + end,
    st.lists(parts(), max_size=4),
    st.sampled_from([b"--b--\r\n", b"--b--", b"--b", b""]) | st.binary(max_size=20),
)


def request(
    body: bytes,
    kind: bytes,
    cuts: Iterable[int] = (),
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> Request:
    """A request whose body arrives in pieces."""
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    pieces = [body[start:stop] for start, stop in itertools.pairwise(places)] or [b""]
    events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    events[-1]["more_body"] = False

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    sent = [*headers, (b"content-type", kind)] if kind else [*headers]
    scope = {"type": "http", "method": "POST", "path": "/check", "query_string": query}
    return Request(scope | {"headers": sent}, receive)
