from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Event, Thread
from types import SimpleNamespace
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
    PIPELINED,
    TARGET_BYTES,
    BoundedProtocol,
    bound_connections,
)
from tests.security.attacks import post, status

LARGE = bytes(8_000_000)
"""More than the system's buffers take."""
SERVERS: list[uvicorn.Server] = []


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers how many bytes of body there were; or, by its path, something large, or unread."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return await send({"type": "websocket.send", "text": "still here"})
    large = {"/large": [LARGE], "/pieces": [LARGE[:65_536]] * 125}.get(scope["path"])
    if large:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in large:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        return await send({"type": "http.response.body", "body": b""})
    received, more = 0, scope["path"] != "/unread"
    while more:
        event = await receive()
        received += len(event.get("body", b""))
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % received})


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A uvicorn server as BentoML starts one: it is not told which protocol to use."""
    bound_connections()
    loop = getattr(request, "param", "asyncio")
    config = uvicorn.Config(
        app, loop=loop, log_level="warning", lifespan="off", timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    SERVERS[:] = [server]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)
    assert config.http_protocol_class is BoundedProtocol


on_either_loop = pytest.mark.parametrize("port", ["uvloop", "asyncio"], indirect=True)
"""uvloop's, as where it is served; and asyncio's, as where that is not to be had."""
if sys.platform == "win32":
    on_either_loop = pytest.mark.parametrize("port", ["asyncio"], indirect=True)


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


@on_either_loop
@pytest.mark.parametrize("count", [2, 3, PIPELINED])
def test_requests_that_do_not_wait_for_answers_get_theirs(count: int, port: int) -> None:
    heads = [b"Content-Length: %d\r\n" % number for number in range(count)]
    heads[-1] += b"Connection: close\r\n"
    sent = [
        b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n" + b"a" * number
        for number, head in enumerate(heads)
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"".join(sent))
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    bodies = [part.split(b"\r\n")[1] for part in answer.split(b"\r\n\r\n")[1::2]]
    assert bodies == [b"%d" % number for number in range(count)]


def test_requests_without_end_are_hung_up_on(port: int) -> None:
    assert ask(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 100_000).count(b"HTTP/1.1") < 1000
    assert ask(port, post("/", b"a")).count(b"HTTP/1.1 200") == 1


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


def test_what_is_refused_is_no_websocket_either(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    long = b"GET /" + b"a" * TARGET_BYTES + upgrade
    assert status(ask(port, long)) == 414
    assert ask(port, long + b"GET /" + upgrade).count(b"HTTP/1.1") == 1
    assert not [record for record in caplog.records if record.exc_info]


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


HEAD = b"POST /unread HTTP/1.1\r\nHost: a\r\n"
WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.mark.parametrize(
    ("first", "more", "statuses"),
    [
        (HEAD + b"\r\n", b"\r\n", [200]),
        (HEAD + b"Content-Length: 999999\r\n\r\n", b"x", [200]),
        (HEAD + b"Content-Length: 999999\r\n\r\n", b"", [200]),
        (HEAD + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", b"", [200]),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", [200]),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", [200]),
        (HEAD + b"\r\n" + HEAD, b"X: y\r\n", [200, 408]),
        (HEAD + b"\r\n" + HEAD + b"\r\n", b"\r\n", [200, 200]),
        (b"\r\n", b"\r\n", []),
    ],
    ids=[
        "empty lines",
        "the body",
        "no body",
        "no body, which it announced",
        "chunks",
        "trailers",
        "half a head",
        "empty lines after two",
        "empty lines before any",
    ],
)
def test_who_sends_what_is_no_request_does_not_stay(
    first: bytes, more: bytes, statuses: list[int], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    stop = Event()

    def trickle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not stop.wait(0.1):
                connection.sendall(more)

    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(first)
        sender = Thread(target=trickle, args=(connection,))
        sender.start()
        with contextlib.suppress(ConnectionResetError):
            while received := connection.recv(65536):
                answer += received
        stop.set()
        sender.join()
    assert [status(b"HTTP/1.1" + part) for part in answer.split(b"HTTP/1.1")[1:]] == statuses


def test_who_asks_again_in_time_stays(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for _ in range(10):  # longer than a head may take, all together
            connection.sendall(HEAD + b"Content-Length: 3\r\n\r\nabc")
            answer = b""
            while not answer.endswith(b"\r\n0\r\n\r\n"):
                answer += connection.recv(1000)
            assert status(answer) == 200
            time.sleep(0.3)


def test_a_websocket_is_not_hung_up_on(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wsproto")  # or websockets: without, uvicorn speaks no WebSocket
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(WEBSOCKET + b"\r\n")
        assert status(connection.recv(1000)) == 101
        time.sleep(1)
        connection.sendall(b"\x81\x81\0\0\0\0x")  # a text of one byte
        assert b"still here" in connection.recv(1000)


def test_a_body_that_is_waited_for_may_come_slowly(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(protocol, "ANSWER_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head)
        assert status(connection.recv(1000)) == 100
        for _ in range(10):
            time.sleep(0.15)
            connection.sendall(b"x")
        assert status(connection.recv(1000)) == 200


def connect_slowly(port: int, path: bytes, *headers: bytes) -> socket.socket:
    """A connection that takes little at a time, on which something large is asked for."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: a", *headers, b"", b""]))
    return connection


def take(connection: socket.socket, pause: float = 0) -> int:
    taken = 0
    with contextlib.suppress(ConnectionResetError):
        while received := connection.recv(65_536):
            taken += len(received)
            if received.endswith(b"\r\n0\r\n\r\n"):
                break
            time.sleep(pause)
    return taken


@on_either_loop
@pytest.mark.parametrize("path", [b"/large", b"/pieces"])
@pytest.mark.parametrize("headers", [[], [b"Connection: close"]])
def test_who_does_not_take_the_answer_does_not_stay(
    path: bytes, headers: list[bytes], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    with connect_slowly(port, path, *headers) as connection:
        assert connection.recv(1)
        given_up = time.monotonic() + 20
        while SERVERS[0].server_state.connections and time.monotonic() < given_up:
            time.sleep(0.05)
        assert not SERVERS[0].server_state.connections
        assert take(connection) < len(LARGE)


@on_either_loop
@pytest.mark.parametrize("path", [b"/large", b"/pieces"])
def test_who_takes_it_slowly_gets_all_of_it(
    path: bytes, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with connect_slowly(port, path) as connection:
        assert take(connection, pause=0.008) >= len(LARGE)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not say")
def test_what_the_system_holds_is_not_taken_yet() -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=ours
            )
            assert protocol._held_by_the_system(transport) == 0
            transport.write(bytes(10_000))
            assert protocol._held_by_the_system(transport) >= 10_000
            theirs.recv(20_000)
            assert protocol._held_by_the_system(transport) == 0
            transport.abort()

    asyncio.run(scenario())


def test_what_was_left_of_one_answer_says_nothing_of_the_next() -> None:
    """Of the first a little was left when it was looked at; the next is large, and is taken."""
    unsent = 0
    taken = BoundedProtocol.__new__(BoundedProtocol)
    taken.transport = SimpleNamespace(
        get_write_buffer_size=lambda: unsent,
        get_extra_info=lambda name: None,
        is_closing=lambda: False,
    )
    taken.flow = SimpleNamespace(pause_writing=lambda: None)
    taken.cycle, taken._is_full, taken._untaken = None, False, None
    unsent = 40_000
    assert not taken._is_left_untaken(20.0)
    unsent = 4_000_000
    taken.pause_writing()
    for now in (40.0, 60.0, 80.0):
        unsent -= 1_000_000
        assert not taken._is_left_untaken(now)
    assert taken._is_left_untaken(80.0 + protocol.ANSWER_SECONDS)


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


def connected() -> tuple[BoundedProtocol, Wire]:
    config = uvicorn.Config(app, log_level="critical", lifespan="off")
    config.load()
    connection, wire = BoundedProtocol(config, uvicorn.server.ServerState(), {}), Wire()
    connection.connection_made(wire)
    return connection, wire


@pytest.mark.parametrize(
    "one", [b"GET / HTTP/1.1\r\nHost:a\r\n\r\n", post("/", b"abc")], ids=["GET", "POST"]
)
def test_only_so_many_requests_wait(one: bytes) -> None:
    """However many arrive at once, before any of them can be answered."""

    async def scenario() -> None:
        connection, wire = connected()
        connection.data_received(one * (PIPELINED + 1))
        assert (len(connection.pipeline), wire.closed) == (PIPELINED, False)
        connection.data_received(one * 9000)
        assert (len(connection.pipeline), wire.closed) == (PIPELINED, True)
        connection.connection_lost(None)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    asyncio.run(scenario())


@given(st.lists(LINES, max_size=12), st.lists(st.integers(1, 200), max_size=4))
def test_whatever_arrives_is_answered_in_http_or_hung_up_on(
    lines: list[bytes], cuts: list[int]
) -> None:
    """In whatever pieces: nothing is raised, and what is written is nothing or an answer."""

    async def scenario() -> bytes:
        connection, wire = connected()
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
