from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from plantood.http import protocol
from plantood.http.protocol import (
    CHUNK_BYTES,
    CHUNKS,
    HEAD_BYTES,
    TARGET_BYTES,
    BoundedProtocol,
    bound_connections,
)
from tests.security.attacks import post, status


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers how many bytes of body there were."""
    received, more = 0, True
    while more:
        event = await receive()
        received += len(event.get("body", b""))
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % received})


@pytest.fixture
def port() -> Iterator[int]:
    """A uvicorn server as BentoML starts one: it is not told which protocol to use."""
    bound_connections()
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)
    assert config.http_protocol_class is BoundedProtocol


def ask(port: int, *pieces: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        with contextlib.suppress(OSError):  # it has hung up already
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while received := connection.recv(65536):
                answer += received
    return answer


def test_a_usual_request_is_answered(port: int) -> None:
    assert ask(port, post("/a", b"x" * 1_000_000)).endswith(b"1000000\r\n0\r\n\r\n")


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("size", "count"), [(1, CHUNKS), (CHUNK_BYTES, 20_000), (4096, 500)])
def test_a_body_in_chunks_is_no_head(size: int, count: int, port: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    assert b"%d" % (size * count) in ask(port, CHUNKED + chunk * count + b"0\r\n\r\n")


def test_tiny_chunks_do_not_hold_up_others(port: int) -> None:
    """Each costs the event loop as much as a thousand bytes do."""
    assert status(ask(port, CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")) == 400
    again = CHUNKED + b"1\r\nx\r\n" * CHUNKS + b"0\r\n\r\n"
    assert ask(port, again + again).count(b"HTTP/1.1 200") == 2


def test_requests_one_after_the_other_on_a_connection(port: int) -> None:
    answer = ask(port, post("/", b"a" * 10) + post("/", b"b" * 20))
    assert answer.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET /" + b"a" * (TARGET_BYTES - 1) + b" HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET /" + b"a" * TARGET_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (HEAD_BYTES - 100) + b"\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 2 * HEAD_BYTES, 431),
    ],
    ids=["long path", "too long path", "long header", "too long", "too many", "endless"],
)
def test_a_head_has_an_end(port: int, request_bytes: bytes, expected: int) -> None:
    assert status(ask(port, request_bytes)) == expected


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_json(port: int, sent: bytes) -> None:
    head, _, content = ask(port, sent).partition(b"\r\n\r\n")
    assert status(head) == 400
    assert b"Content-Type: application/json" in head
    assert list(json.loads(content)) == ["error"]


def test_a_head_that_does_not_come_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        assert silent.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHo")
        assert status(slow.recv(1000)) == 408
        assert slow.recv(1000) == b""


def test_descriptors_are_those_that_the_system_gives() -> None:
    """In a process of its own, since they cannot be given back."""
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (512, 4000))\n"
        "from plantood.http.protocol import bound_connections\n"
        "bound_connections()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(4000, 4000)"


def test_there_is_an_end_to_connections(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            stack.enter_context(connection)
            connection.sendall(b"GET")
        refused = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        answer = refused.recv(1000)
        assert status(answer) == 503
        assert b"retry-after" in answer.lower()


LINES = st.sampled_from(
    [
        b"POST / HTTP/1.1",
        b"GET /" + b"a" * (TARGET_BYTES + 1) + b" HTTP/1.1",
        b"Host: a",
        b"Content-Length: 3",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked",
        b"X: " + b"x" * HEAD_BYTES,
        b"3",
        b"abc",
        b"0",
        b"",
    ]
) | st.binary(max_size=20)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 81)})
        self.written, self.closed = b"", False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...


@given(st.lists(LINES, max_size=12), st.lists(st.integers(1, 200), max_size=4))
def test_whatever_arrives_is_answered_in_http_or_hung_up_on(
    lines: list[bytes], cuts: list[int]
) -> None:
    """In whatever pieces: nothing is raised, and what is written is nothing or an answer."""

    async def scenario() -> bytes:
        config = uvicorn.Config(app, log_level="critical", lifespan="off")
        config.load()
        connection = BoundedProtocol(config, uvicorn.server.ServerState(), {})
        wire = Wire()
        connection.connection_made(wire)
        left = b"\r\n".join(lines)
        for cut in [*cuts, len(left)]:
            if not wire.closed:
                connection.data_received(left[:cut])
            left = left[cut:]
        for _ in range(5):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        return wire.written

    written = asyncio.run(scenario())
    assert not written or written.startswith(b"HTTP/1.1 ")
