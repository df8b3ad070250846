"""Whatever a stranger sends: one sentence, never a 500, and nothing of it in the log."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.training.review.rounds import make_round
from tests.training.review.serving import ReviewServer, reviewing

TOKEN = "a token of sixteen or more"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    round_ = make_round(tmp_path_factory.mktemp("strangers") / "round-1", 2)
    with reviewing(round_.path, PLANTOOD_REVIEW_TOKEN=TOKEN) as server:
        said = server.log.read_text()
        yield server
        assert server.process.poll() is None
        assert server.log.read_text() == said


def exchange(server: ReviewServer, *pieces: bytes, seconds: float = 20) -> tuple[int, bytes]:
    """Send something, piece by piece, and take what comes; status 0 if nothing does."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.1)
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionError, TimeoutError):
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


def request(
    method: str = "GET",
    path: str | bytes = "/api/round",
    body: bytes | None = None,
    host: bytes | None = None,
    allowed: bool = True,
    **headers: str | bytes,
) -> bytes:
    given: dict[str, str | bytes] = {"Host": b"127.0.0.1" if host is None else host}
    if allowed:
        given["Authorization"] = f"Bearer {TOKEN}"
    if body is not None:
        given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    given["Connection"] = "close"
    lines = [method.encode() + b" " + as_bytes(path) + b" HTTP/1.1"]
    lines += [name.encode() + b": " + as_bytes(value) for name, value in given.items()]
    return b"\r\n".join([*lines, b"", body or b""])


def as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def decision(**changes: object) -> bytes:
    return json.dumps({"reviewer": "anna", "id": "f" * 64, "label": "plant"} | changes).encode()


def raw_decision(end: str) -> bytes:
    return decision()[:-1] + end.encode() + b"}"


BODIES = {
    "brackets": b"[" * 30_000,
    "brackets within": raw_decision(', "seen": ' + "[" * 30_000),
    "objects": b'{"a":' * 10_000,
    "nothing": b"",
    "no object": b"[]",
    "null": b"null",
    "many digits": raw_decision(', "seen": ' + "9" * 5_000),
    "fewer digits": raw_decision(', "after": ' + "9" * 4_000),
    "digits in a text": decision(seen="9" * 5_000),
    "negative": decision(seen=-1),
    "half": decision(after=1.5),
    "NaN": raw_decision(', "seen": NaN'),
    "infinity": raw_decision(', "after": -Infinity'),
    "1e999": raw_decision(', "after": 1e999'),
    "surrogate in the id": decision(id="\ud800"),
    "surrogate in the name": decision(reviewer="anna\udfff"),
    "surrogate in a key": raw_decision(', "\\ud800": 1'),
    "control characters": decision(reviewer="anna\nERROR: \x1b[2J"),
    "right to left": decision(reviewer="anna\u202e"),
    "no text for a name": decision(reviewer=["anna"]),
    "many accents": decision().replace(b"anna", ("a" + "\u0301\u0316" * 13_000).encode()),
    "long name": decision(reviewer="a" * 60_000),
    "list for a label": decision(label=["plant"]),
    "latin-1": '{"reviewer": "ä"}'.encode("latin-1"),
    "zeros": bytes(1000),
    "utf-16": decision().decode().encode("utf-16"),
}


@pytest.mark.parametrize("path", ["/api/labels", "/api/undo"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body(server: ReviewServer, path: str, body: bytes) -> None:
    check(exchange(server, request("POST", path, body)), 400)


REQUESTS = {
    "after, many digits": (request(path="/api/decisions?after=" + "9" * 5_000), 400),
    "after, negative": (request(path="/api/decisions?after=-1"), 400),
    "after, other digits": (request(path="/api/decisions?after=" + quote("٣")), 400),
    "after, no number": (request(path="/api/decisions?after=%00%ED%A0%80"), 400),
    "long id": (request("POST", "/api/labels", decision(id="x" * 60_000)), 404),
    "unknown id": (request("POST", "/api/undo", b'{"reviewer": "anna", "id": "\\n"}'), 404),
    "lines in a path": (request(path="/thumbnails/%0d%0aERROR:%20x"), 404),
    "zeros in a path": (request(path="/photos/%00"), 404),
    "surrogates in a path": (request(path="/previews/%ED%A0%80"), 404),
    "dots in a path": (request(path="/../../etc/passwd"), 404),
    "no ASCII in a path": (request(path=b"/\xff"), 400),
    "a path elsewhere": (request(path="http://evil.example/"), 404),
    "unknown method": (request("BREW", "/"), 405),
    "HEAD": (request("HEAD", "/nothing"), 404),
    "OPTIONS": (request("OPTIONS", "*"), 404),
    "CONNECT": (request("CONNECT", "evil.example:443"), 404),
    "POST to the page": (request("POST", "/", b"{}"), 405),
    "no JSON": (request("POST", "/api/labels", decision(), Content_Type=b"\xff"), 415),
    "host, no port": (request(host=b"127.0.0.1:abc"), 421),
    "host, large port": (request(host=b"127.0.0.1:99999999"), 421),
    "host, no ASCII": (request(host=b"127.0.0.1\xe9"), 421),
    "host, bracket": (request(host=b"[::1"), 421),
    "host, with more": (request(host=b"127.0.0.1/evil.example@x"), 421),
    "host, empty": (request(host=b""), 421),
    "origin, bracket": (request("POST", "/api/labels", b"{}", Origin="http://["), 403),
    "origin, no ASCII": (request("POST", "/api/labels", b"{}", Origin=b"http://\xb5\xaa"), 403),
    "token, no ASCII": (request(allowed=False, Authorization=b"Bearer \xff\xfe"), 401),
    "token, empty": (request(allowed=False, Authorization="Bearer"), 401),
    "token, surrogate": (request(path="/?token=%ED%A0%80", allowed=False), 401),
    "cookie": (request(allowed=False, Cookie=b'plantood_review_80="\\377\\400"; \xff; =;;'), 401),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    "many digits in a length": (request("POST", body=b"", Content_Length="9" * 5_000), 400),
    "two lengths": (request("POST", body=b"", Content_Length="1, 2"), 400),
    "endless header": (request()[:-2] + b"X-Long: " + b"x" * 500_000, 400),
}


@pytest.mark.parametrize(("sent", "status"), REQUESTS.values(), ids=REQUESTS)
def test_a_request(server: ReviewServer, sent: bytes, status: int) -> None:
    check(exchange(server, sent), status, body=not sent.startswith(b"HEAD"))


CHUNKED = b"POST /api/labels HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
AS_JSON = b"Content-Type: application/json\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((CHUNKED + AS_JSON + b"\r\n" + b"ZZ\r\n",), 400),
        ((CHUNKED + AS_JSON + b"\r\n", b"2\r\n{}", b"ZZ\r\n"), 400),
        ((CHUNKED + b"\r\n2\r\n{}", b"ZZ\r\n"), 401),  # after the answer
        ((CHUNKED + AS_JSON + b"\r\n" + b"1ffff\r\n" + b" " * 70_000, b" "), 413),
    ],
    ids=["at once", "on the way", "after the answer", "too much"],
)
def test_a_body_that_breaks_off(
    server: ReviewServer, pieces: tuple[bytes, ...], status: int
) -> None:
    check(exchange(server, *pieces, seconds=3), status)


def test_a_sender_that_goes_away(server: ReviewServer) -> None:
    unfinished = request("POST", "/api/labels", decision())[:-5]
    for piece in (unfinished, unfinished[:20], b""):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(piece)
    check(exchange(server, request(path="/nothing")), 404)


def check(answer: tuple[int, bytes], status: int, body: bool = True) -> None:
    assert answer[0] == status, answer
    if not body:
        assert answer[1] == b""
        return
    said = json.loads(answer[1])
    assert said.keys() == {"error"}
    assert said["error"].isprintable()
    assert 10 < len(said["error"]) <= 503
