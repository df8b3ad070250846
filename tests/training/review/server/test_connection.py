"""How long a connection may last and how much it may hold, with shorter times than in use."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from plantood.training.review.log import DecisionLog
from plantood.training.review.server import connection
from plantood.training.review.server.app import ReviewApp
from plantood.training.review.server.pictures import Pictures
from plantood.training.review.server.serve import configure, listen
from tests.training.review.rounds import make_round

REQUEST = b"GET /api/decisions HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = (
    b"POST /api/labels HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 2.0)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 3.0)
    monkeypatch.setattr(connection, "CONNECTIONS", 5)
    round_ = make_round(tmp_path / "round", 1)
    photo = round_.path / round_.mined()[0].file
    with photo.open("ab") as file:
        file.truncate(30_000_000)  # more than the system's buffers take
    with listen("127.0.0.1", 0) as listening:
        app = ReviewApp(DecisionLog(round_), Pictures(round_)).asgi()
        server = uvicorn.Server(configure(app))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def take(opened: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := opened.recv(1 << 16):
            received += piece
    return received


def trickle(opened: socket.socket, piece: bytes, stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while not stop.wait(0.1):
            opened.sendall(piece)


@pytest.mark.parametrize(
    ("first", "more", "status"),
    [
        (b"", b"", b""),  # nothing at all
        (REQUEST[:-2], b"", b"408"),
        (REQUEST[:-2], b"X: y\r\n", b"408"),  # a header that never ends
        (UPLOAD, b"", b"408"),
        (UPLOAD, b" ", b"408"),
        (UPLOAD.replace(b"json", b"text"), b" ", b"415"),  # refused before, and sent all the same
        (REQUEST + REQUEST[:-2], b"X: y\r\n", b"200"),  # the second one
    ],
)
def test_a_slow_sender(port: int, first: bytes, more: bytes, status: bytes) -> None:
    started, stop = time.monotonic(), threading.Event()
    with connect(port) as opened:
        opened.sendall(first)
        thread = threading.Thread(target=trickle, args=(opened, more, stop))
        thread.start()
        received = take(opened)
        stop.set()
        thread.join()
    assert received.partition(b" ")[2][:3] == status
    assert 1 < time.monotonic() - started < 15


def test_one_who_does_not_take_the_answer(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with connect(port) as opened:
        opened.sendall(REQUEST)
        photos = opened.recv(1 << 16)
    assert b"200 OK" in photos
    with connect(port) as asking:
        asking.sendall(b"GET /api/round HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        content = json.loads(take(asking).partition(b"\r\n\r\n")[2])
    photo = content["photos"][0]["id"]
    with connect(port) as opened:
        opened.sendall(f"GET /photos/{photo} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(5)
        assert len(take(opened)) < 30_000_000
    assert not caplog.records


def test_who_asks_in_time_may_stay(port: int) -> None:
    with connect(port) as opened:
        for _ in range(4):
            time.sleep(0.8)
            opened.sendall(REQUEST)
            assert b"200 OK" in opened.recv(1 << 16)


def test_there_are_only_so_many_connections(port: int) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(5):
            held.enter_context(connect(port))
        with connect(port) as opened:
            received = take(opened)
        assert received.startswith(b"HTTP/1.1 503 ")
        assert b"too many connections" in received
    time.sleep(0.2)
    with connect(port) as opened:
        opened.sendall(REQUEST)
        assert opened.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_an_endless_header_is_not_collected(port: int) -> None:
    sent = 0
    with connect(port) as opened, contextlib.suppress(OSError):
        opened.sendall(REQUEST[:-2] + b"X: ")
        while sent < 200_000_000:
            sent += opened.send(bytes(1 << 16).replace(b"\0", b"x"))
    assert sent < 20_000_000  # what is in the system's buffers
