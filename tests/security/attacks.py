"""What a stranger with HTTP access can try, each bounded in number and time, on loopback only.

Every attack states what must hold, tries it against a running service, and returns what it
measured; it raises `AssertionError` where the promise of docs/security.md is broken. `python -m
tests.security` runs them all and prints what held.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.security import payloads
from tests.service.server import SAMPLES, Server

PLANT = (SAMPLES / "maize_leaf.jpg").read_bytes()
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Attack:
    name: str
    promise: str
    run: Callable[[Server], str]


ATTACKS: list[Attack] = []


def attack(promise: str) -> Callable[[Callable[[Server], str]], Callable[[Server], str]]:
    """Register an attack, named after its function."""

    def register(run: Callable[[Server], str]) -> Callable[[Server], str]:
        ATTACKS.append(Attack(run.__name__, promise, run))
        return run

    return register


def lone_ms(server: Server, photos: int = 9) -> float:
    """Median time of a lone photo, in milliseconds."""
    times = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(photos):
            started = time.perf_counter()
            answer = client.post("/check", content=PLANT)
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, answer.text
            assert answer.json()["verdict"] == "accept"
    return statistics.median(times)


def exchange(server: Server, request: bytes, seconds: float = 20) -> bytes:
    """What is answered to some bytes on a connection; empty if nothing is."""
    with socket.create_connection(server.address, timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
                head, end, body = answer.partition(b"\r\n\r\n")
                length = [
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ]
                if end and length and len(body) >= length[0]:
                    break
    return answer


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    """A request as it travels; headers as given, also twice."""
    lines = [b"POST %s HTTP/1.1" % path.encode(), b"Host: localhost", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@contextlib.contextmanager
def in_the_background(work: Callable[[threading.Event], None], threads: int = 1) -> Iterator[None]:
    """Do something in so many threads until the block ends."""
    stop = threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, stop) for _ in range(threads)]
        try:
            yield
        finally:
            stop.set()
            for future in futures:
                future.result()


def post_until(server: Server, stop: threading.Event, *, photo: bytes, statuses: list[int]) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        while not stop.is_set():
            statuses.append(client.post("/check", content=photo).status_code)


@attack("no path of the server is opened, and none tells whether a file exists")
def path_as_photo(server: Server) -> str:
    paths = ["/etc/passwd", "/nowhere", str(SAMPLES / "maize_leaf.jpg")]
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(pipe := f"{folder}/pipe")
        tried, seen = 0, {}
        for path in [*paths, pipe]:
            one, many = (json.dumps(x).encode() for x in ({"image": path}, {"images": [path]}))
            for kind in (
                [b"Content-Type: Application/vnd.bentoml+pickle"],
                [b"Content-Type: application/vnd.bentoml+pickle;a=b"],
                [b"Content-Type:\tapplication/vnd.bentoml+pickle "],
                [b"Content-Type: application/json"],
                [
                    b"Content-Type: application/json",
                    b"Content-Type: Application/vnd.bentoml+pickle",
                ],
                [b"Content-Type: Application/vnd.bentoml+pickle", b"Content-Type: image/jpeg"],
                [b"Content-Type: multipart/form-data;boundary=b", b"Content-Type: text/plain"],
                [b"Content-Type: application/vnd.bentoml+pickle, image/jpeg"],
            ):
                for url, body in (("/check", one), ("/check_batch", many)):
                    answer = exchange(server, post(url, body, *kind), seconds=5)
                    assert answer, f"{url} {kind} {path}: no answer"
                    assert 400 <= status(answer) < 500, answer
                    key = (url, *kind)
                    said = seen.setdefault(key, (status(answer), answer.partition(b"\r\n\r\n")[2]))
                    assert said == (status(answer), answer.partition(b"\r\n\r\n")[2]), answer
                    tried += 1
    return (
        f"{tried} requests refused with 4xx, the same for each path; then {lone_ms(server):.0f} ms"
    )


@attack("a pickle from outside is not read")
def pickle_from_outside(server: Server) -> str:
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder, "ran")
        evil = b"cposix\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
        for url in ("/check", "/check_batch"):
            for kind in (b"application/vnd.bentoml+pickle", b"APPLICATION/vnd.bentoml+pickle"):
                answer = exchange(server, post(url, evil, b"Content-Type: " + kind))
                assert status(answer) == 415, answer
        assert not mark.exists()
    return "415"


@attack("a language of any length costs nothing, nested brackets are no error of the server")
def language(server: Server) -> str:
    long = "a-" * 60_000
    nested = "[" * 30_000
    slowest = 0.0
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for value in (long, nested, "fr," * 40_000, '"' + long, '"\\ud800"', "null"):
            started = time.perf_counter()
            files, data = {"image": ("a.jpg", PLANT, "image/jpeg")}, {"language": value}
            answer = client.post("/check", files=files, data=data)
            assert answer.status_code == 200, answer.text
            short = value[:7000].encode("ascii", "replace").decode()
            answer = client.post("/check", content=PLANT, params={"language": short})
            assert answer.status_code in (200, 414), answer.text
            header = {"Accept-Language": short}
            assert client.post("/check", content=PLANT, headers=header).status_code == 200
            slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 2, slowest
    return f"slowest three requests {slowest * 1000:.0f} ms"


@attack("a form in punycode, or in no charset at all, is refused unread, and nobody waits")
def charset(server: Server) -> str:
    text = b'--x\r\nContent-Disposition: form-data; name="f0"\r\n\r\n-' + b"a" * 1_000_000
    slowest = 0.0
    for name in (b"punycode", b"undefined", b"idna", b"utf-7", b"hex", b"nothing"):
        kind = b"Content-Type: multipart/form-data; boundary=x; charset=" + name
        started = time.perf_counter()
        for url in ("/check", "/check_batch"):
            answer = exchange(server, post(url, text + b"\r\n--x--\r\n", kind))
            assert status(answer) == 400, answer
        assert httpx.get(f"{server.url}/livez", timeout=20).status_code == 200
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 2, slowest
    return f"400; slowest three requests {slowest * 1000:.0f} ms"


@attack("an encoded body, a request without a host and a range that there is not: errors in JSON")
def odd_requests(server: Server) -> str:
    start = b"POST /check HTTP/1.1\r\nContent-Type: image/jpeg\r\n"
    chunks = b"\r\n\r\n2\r\n\xff\xd8\r\n0\r\n\r\n"
    answers = {
        start + b"Host: a\r\nTransfer-Encoding: gzip, chunked" + chunks: {415},
        start + b"Host: a\r\nTransfer-Encoding: chunked, chunked" + chunks: {400, 415},
        start + b"Transfer-Encoding: chunked" + chunks: {400},
        start + b"Host: a\r\nTransfer-Encoding: chunked" + chunks: {200},
    }
    for name in (b"app.js", b"static_content/swagger-ui.css", b""):
        for ranges in (b"0-0,-1,5-1", b"99999999-", b"a-b", b"1-2"):
            get = b"GET /%b HTTP/1.1\r\nHost: a\r\nRange: bytes=%b\r\n\r\n" % (name, ranges)
            answers[get] = {200}
    for sent, statuses in answers.items():
        answer = exchange(server, sent)
        assert status(answer) in statuses, (sent, answer[:300])
        if status(answer) != 200:
            assert b'{"error":' in answer, answer
    return "400, 415, or the whole file"


@attack("headers end at 64 kB, the address at 8 kB, and memory stays")
def endless_headers(server: Server) -> str:
    gate = server.workers("PlantGate")[0]
    before = gate.memory_info().rss
    piece = b"x" * 65_536

    def send(start: bytes) -> int:
        with socket.create_connection(server.address, timeout=10) as connection:
            sent = 0
            try:
                connection.sendall(start)
                while sent < 64 * MEBIBYTE:
                    connection.sendall(piece)
                    sent += len(piece)
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                pass
        return sent

    chunked = b"POST /check HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent = [
        send(b"POST /check HTTP/1.1\r\nHost: a\r\nX: "),
        send(b"GET /"),
        send(chunked + b"1;"),
        send(chunked + b"0\r\nX: "),
    ]
    assert max(sent) < 16 * MEBIBYTE, sent
    grown = gate.memory_info().rss - before
    assert grown < 32 * MEBIBYTE, grown
    long = exchange(server, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status(long) == 414, long
    many = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 100) for n in range(1000))
    assert status(exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n")) == 431
    return f"hung up on after {max(sent) / MEBIBYTE:.1f} MB; memory +{grown / MEBIBYTE:.1f} MB"


@attack("no body passes the limit of an upload, whatever its headers say")
def upload_limit(server: Server) -> str:
    def send(*headers: bytes) -> int:
        with socket.create_connection(server.address, timeout=20) as connection:
            lines = [b"POST /check HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", *headers]
            connection.sendall(b"\r\n".join([*lines, b"", b""]))
            piece = b"100000\r\n" + bytes(MEBIBYTE) + b"\r\n"
            sent = 0
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                for _ in range(100):
                    connection.sendall(piece)
                    sent += 1
                    connection.settimeout(0.001)
                    with contextlib.suppress(TimeoutError, BlockingIOError):
                        if answer := connection.recv(4096):
                            return status(answer)
                    connection.settimeout(20)
                connection.sendall(b"0\r\n\r\n")
            return status(connection.recv(4096))

    pickle, jpeg = b"Content-Type: application/vnd.bentoml+pickle", b"Content-Type: image/jpeg"
    statuses = [send(jpeg), send(jpeg, pickle), send(pickle, jpeg), send(pickle)]
    assert statuses == [413, 400, 400, 415], statuses
    return "413, or refused unread"


@attack("any number of addresses is one label of the metrics")
def metric_labels(server: Server) -> str:
    before = len(httpx.get(f"{server.url}/metrics").content)
    with httpx.Client(base_url=server.url) as client:
        for number in range(1000):
            assert client.get(f"/nowhere/{number}").status_code == 404
    started = time.perf_counter()
    text = httpx.get(f"{server.url}/metrics", timeout=30)
    seconds = time.perf_counter() - started
    assert len(text.content) < before + 20_000, (before, len(text.content))
    assert seconds < 2, seconds
    assert "/nowhere" not in text.text
    assert 'endpoint="other"' in text.text
    return f"/metrics {len(text.content) / 1000:.0f} kB in {seconds * 1000:.0f} ms"


@attack("a path with control characters is refused and writes no line of its own into the log")
def log_lines(server: Server) -> str:
    forged = b"1.2.3.4 - forged"
    for path in (b"/%0d%0a" + forged.replace(b" ", b"%20"), b"/%e2%80%a8x", b"/a%00b", b"/%1b[2J"):
        answer = exchange(server, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status(answer) == 400, answer
    assert "\n" + forged.decode() not in server.output
    return "400"


HEAVY_FILES: dict[str, Callable[[], bytes]] = {
    "progressive, 99 scans, 64 MP": lambda: payloads.progressive_with_scans(8000, 8000, 90),
    "comments behind a JPEG": lambda: PLANT[:-2] + b"\xff\xfe\0\2" * 4_000_000,
    "WebP 64 MP": lambda: payloads.flat("WEBP", 8000, 8000, method=0),
    "WebP 22 MP": lambda: payloads.flat("WEBP", 4800, 4600, method=0),
    "PNG 16 bits, 63 MP": lambda: payloads.png_16_bit(8000, 7900),
    "PNG 90 MP": lambda: payloads.flat("PNG", 10_000, 9000),
    "TIFF CMYK 40 MP": lambda: payloads.flat(
        "TIFF", 8000, 5000, "CMYK", compression="tiff_deflate"
    ),
    "AVIF that is larger than it says": lambda: payloads.avif_larger_than_it_says(8000, 6000, 64),
    "Exif of 800 MB in a JPEG": lambda: payloads.jpeg_with_exif(
        PLANT, payloads.directory(900, 900_000)
    ),
    "TIFF of 9 GB in its directory": lambda: payloads.tiff_with_directory(900, 10_000_000),
    "GIF of comments": lambda: payloads.gif_of_comments(9_000_000),
    "a strip": lambda: payloads.flat("PNG", 350, 200_000, "L"),
}


@attack(
    "a file that is small, but large inside, costs neither memory nor time, nor do eight of them"
)
def heavy_files(server: Server) -> str:
    lines, slowest = [], 0.0
    usual = lone_ms(server)
    for name, make in HEAVY_FILES.items():
        photo = make()
        assert len(photo) < 20 * MEBIBYTE, name
        gate = server.workers("PlantGate")
        base = sum(process.memory_info().rss for process in gate)
        server.reset_peak_memory()
        started = time.perf_counter()
        answer = httpx.post(f"{server.url}/check", content=photo, timeout=60)
        seconds = time.perf_counter() - started
        grown = (server.peak_memory("PlantGate") - base) / MEBIBYTE
        assert answer.status_code in (200, 413), (name, answer.text)
        assert seconds < 3, (name, seconds)
        assert grown < 450, (name, grown)
        lines.append(f"{name}: {answer.status_code}, {seconds:.2f} s, +{max(0, grown):.0f} MB")
        statuses: list[int] = []
        attack = functools.partial(post_until, server, photo=photo, statuses=statuses)
        with in_the_background(attack, 8):
            time.sleep(0.5)
            slowest = max(slowest, lone_ms(server, 3))
        assert set(statuses) <= {200, 413, 503}, (name, set(statuses))
    assert slowest < 3000, slowest
    return f"a good photo beside eight of them: {usual:.0f} -> {slowest:.0f} ms; " + "; ".join(
        lines
    )


@attack("slow senders take no place from others, and are hung up on")
def slow_senders(server: Server, senders: int = 80) -> str:
    head = post("/check", b"", b"Content-Type: image/jpeg").replace(b": 0", b": 9999")
    with contextlib.ExitStack() as stack:
        slow = []
        for number in range(senders):
            connection = socket.create_connection(server.address, timeout=60)
            slow.append(stack.enter_context(connection))
            connection.sendall(head + b"\xff\xd8" if number % 2 else head[:30])
        time.sleep(0.5)
        beside = lone_ms(server)
        started = time.monotonic()
        ended = 0
        while ended < senders and time.monotonic() - started < 40:
            time.sleep(0.25)
            ended = 0
            for connection in slow:
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if connection.recv(1, socket.MSG_PEEK) is not None:
                        ended += 1
        seconds = time.monotonic() - started
    assert ended == senders, f"{ended} of {senders}"
    return f"beside {senders} of them {beside:.0f} ms; all hung up on after {seconds:.0f} s"


@attack("uploads that came fast and then stop take the room from nobody for long")
def stopped_uploads(server: Server) -> str:
    head = post("/check_batch", b"", b"Content-Type: multipart/form-data; boundary=x")
    head = head.replace(b": 0", b": %d" % (320 * MEBIBYTE))
    part = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    with contextlib.ExitStack() as stack:
        for megabytes in (319, 192):
            connection = socket.create_connection(server.address, timeout=60)
            stack.enter_context(connection)
            connection.sendall(head + part)
            for _ in range(megabytes):
                connection.sendall(b"\xff" * MEBIBYTE)
        connection.sendall(b"\xff" * (1020 << 10))
        started = time.monotonic()
        while (answer := httpx.post(f"{server.url}/check", content=PLANT)).status_code == 429:
            assert time.monotonic() - started < 15
            time.sleep(0.5)
        assert answer.status_code == 200, answer.text
        seconds = time.monotonic() - started
        lone_ms(server)
    return f"a photo is judged {seconds:.0f} s after 512 MB have come and stopped"


@attack("all uploads together have a limit; what passes it is a 429 with Retry-After")
def spooled_bytes(server: Server) -> str:
    content = PLANT + bytes(19 * MEBIBYTE - len(PLANT))
    largest = 0

    def watch(stop: threading.Event) -> None:
        nonlocal largest
        while not stop.wait(0.02):
            used = 0
            for process in server.workers("PlantGate"):
                for entry in Path(f"/proc/{process.pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(entry.readlink()).endswith("(deleted)"):
                            used += entry.stat().st_size
            largest = max(largest, used)

    def batch(_: int) -> httpx.Response:
        files = [("images", ("a.jpg", content, "image/jpeg"))] * 16
        return httpx.post(f"{server.url}/check_batch", files=files, timeout=120)

    with in_the_background(watch), ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(batch, range(3)))
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 429}, statuses
    assert 429 in statuses
    assert all(a.headers.get("retry-after") for a in answers if a.status_code == 429)
    assert largest < 520 * MEBIBYTE, largest
    lone_ms(server)
    return f"{statuses}, at most {largest / MEBIBYTE:.0f} MB on disk"


@attack("after a burst a lone photo is as fast as before, and the service ready within 5 s")
def burst(server: Server, clients: int = 96, seconds: float = 5) -> str:
    before = lone_ms(server, 15)
    statuses: list[int] = []
    with in_the_background(
        lambda stop: post_until(server, stop, photo=PLANT, statuses=statuses), clients
    ):
        time.sleep(seconds)
    started = time.monotonic()
    server.wait_until_ready(10)
    ready = time.monotonic() - started
    time.sleep(1.5)  # the last photos' scores are good for a second
    started = time.monotonic()
    server.wait_until_ready(10)
    ready = max(ready, time.monotonic() - started)
    after = lone_ms(server, 15)
    assert ready < 5, ready
    assert after < 1.5 * before + 5, (before, after)
    assert set(statuses) <= {200, 429, 503}, set(statuses)
    judged = statuses.count(200)
    return (
        f"{clients} clients, {seconds:.0f} s, {judged} photos judged; ready after {ready:.1f} s; a "
        f"lone photo {before:.0f} -> {after:.0f} ms"
    )


@attack("probes that come by the hundred are answered, and are no photos that failed")
def probes(server: Server, clients: int = 64, seconds: float = 3) -> str:
    def failed() -> float:
        return server.metrics()["plantood_scorer_errors_total"]

    def ask(stop: threading.Event) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not stop.is_set():
                statuses.extend(client.get(f"/{name}").status_code for name in ("readyz", "livez"))

    before, statuses = failed(), list[int]()
    time.sleep(1.5)  # the last photo's score is good for a second
    with in_the_background(ask, clients):
        time.sleep(seconds)
        beside = lone_ms(server, 3)
    assert set(statuses) == {200}, {status: statuses.count(status) for status in set(statuses)}
    assert failed() == before
    assert beside < 3000, beside
    return f"{len(statuses)} probes answered; a photo beside them {beside:.0f} ms"


@attack("a killed worker leaves no request in progress")
def killed_worker(server: Server) -> str:
    worker = server.workers("PlantGate")[-1]
    statuses: list[int] = []

    def send(stop: threading.Event) -> None:
        with contextlib.suppress(httpx.TransportError):
            post_until(server, stop, photo=PLANT, statuses=statuses)

    with in_the_background(send, 8):
        time.sleep(0.5)
        worker.kill()
    psutil.wait_procs([worker], timeout=10)
    server.wait_until_ready(30)
    name = "bentoml_service_request_in_progress"
    in_progress = {k: v for k, v in server.metrics().items() if k.startswith(name)}
    assert sum(value for key, value in in_progress.items() if "/check" in key) == 0, in_progress
    return "0 in progress after SIGKILL"
