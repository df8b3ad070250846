"""The client of a gate elsewhere, against servers that are slow, dead or wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from plantood.compose import ComposedGate, RemoteGate, remote
from plantood.errors import PhotoNotFound, PlantoodError, UnreadablePhoto
from plantood.http.timeout import HEADER as TIMEOUT
from plantood.judging.failures import FailureKind, GateUnavailable
from plantood.verdict import ReasonCode, Verdict
from tests.photos import encode
from tests.service.server import SAMPLES, Server

PLANT = SAMPLES / "maize_leaf.jpg"
ACCEPT = Verdict(verdict="accept", threshold=0.5, plant_probability=0.9, model="plantood-gate:x")
Answer = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[tuple[str, list[int]]]:
    """A server on a socket of its own, which answers its n-th connection as it is told."""
    connections: list[int] = []
    tasks: set[asyncio.Task] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        connections.append(len(connections))
        try:
            await answer(connections[-1], reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def http(status: str, body: str, kind: str = "application/json", encoding: str = "") -> bytes:
    encoded = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"{encoded}Connection: close\r\n\r\n{body}"
    ).encode()


def saying(response: bytes) -> Answer:
    async def answer(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        writer.write(response)
        await writer.drain()

    return answer


def breaking(times: int, then: Answer) -> Answer:
    """Hang up on the first connections."""

    async def answer(
        number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if number >= times:
            await then(number, reader, writer)

    return answer


async def silent(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def trickling(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never silent long enough for a timeout between two bytes, and never done."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"{")
        await writer.drain()
        await asyncio.sleep(0.1)


GOOD = saying(http("200 OK", ACCEPT.model_dump_json()))


def failure_of(answer: Answer, **options: float) -> tuple[GateUnavailable, float, int]:
    """The failure, the seconds until it, and how many connections were made."""

    async def run() -> tuple[GateUnavailable, float, int]:
        async with answering(answer) as (url, connections):
            remote = RemoteGate(url, **options)
            started = time.monotonic()
            with pytest.raises(GateUnavailable) as caught:
                await ComposedGate(remote, timeout_s=30).check(PLANT)
            seconds, made = time.monotonic() - started, len(connections)
            with pytest.raises(PlantoodError) as alone:  # it raises the same by itself
                await remote.check(PLANT)
            assert (alone.type, alone.value.kind) == (GateUnavailable, caught.value.kind)
            return caught.value, seconds, made

    return asyncio.run(run())


def test_a_connection_that_breaks_is_tried_again() -> None:
    async def run() -> tuple[Verdict, int]:
        async with answering(breaking(2, GOOD)) as (url, connections):
            return await RemoteGate(url, retries=2).check(PLANT), len(connections)

    assert asyncio.run(run()) == (ACCEPT, 3)


def test_it_is_tried_only_so_often() -> None:
    failure, _, connections = failure_of(breaking(9, GOOD), retries=2)
    assert (failure.kind, connections) == (FailureKind.UNREACHABLE, 3)


def test_a_dead_server_fails_at_once() -> None:
    async def run() -> float:
        url = "http://127.0.0.1:1"
        gate = ComposedGate(RemoteGate(url, retries=1))
        started = time.monotonic()
        with pytest.raises(GateUnavailable) as caught:
            await gate.check(PLANT)
        assert caught.value.kind == FailureKind.UNREACHABLE
        assert not await gate.is_ready()
        assert not await RemoteGate(url).is_ready()
        return time.monotonic() - started

    assert asyncio.run(run()) < 3


def test_a_reason_that_only_a_newer_gate_has_is_a_reason() -> None:
    newer = (
        '{"verdict": "retake", "reasons": [{"code": "too_far", "message": "Go closer."}], "x": 1}'
    )

    async def run() -> Verdict:
        async with answering(saying(http("200 OK", newer))) as (url, _):
            return await RemoteGate(url).check(PLANT)

    assert [reason.code for reason in asyncio.run(run()).reasons] == ["too_far"]


def test_what_only_an_older_gate_says_is_read_for_what_it_is() -> None:
    older = (
        '{"verdict": "retake", "plant_probability": 0.9, "threshold": 0.5, "unfamiliarity": 1.4, '
        '"reasons": [{"code": "unfamiliar", "message": "Go closer.", "detail": null}], '
        '"quality": null, "model": "plantood-gate:old", "timings_ms": {"score": 9.8}}'
    )

    async def run() -> Verdict:
        async with answering(saying(http("200 OK", older))) as (url, _):
            return await RemoteGate(url).check(PLANT)

    verdict = asyncio.run(run())
    (reason,) = verdict.reasons
    assert (verdict.accepted, verdict.model) == (False, "plantood-gate:old")
    assert (reason.code, reason.message) == ("unfamiliar", "Go closer.")
    assert not isinstance(reason.code, ReasonCode)
    assert "unfamiliarity" not in verdict.model_dump()


@pytest.mark.parametrize("server", [silent, trickling])
def test_a_slow_server_is_waited_for_only_so_long_and_not_asked_again(server: Answer) -> None:
    failure, seconds, connections = failure_of(server, timeout_s=1, retries=3)
    assert (failure.kind, connections) == (FailureKind.TIMEOUT, 1)
    assert 0.9 < seconds < 4


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (http("200 OK", "<html>Welcome to nginx!</html>", "text/html"), FailureKind.WRONG_ANSWER),
        (http("200 OK", '{"disease": "rust"}'), FailureKind.WRONG_ANSWER),
        (http("200 OK", '{"verdict": "perhaps"}'), FailureKind.WRONG_ANSWER),
        (http("200 OK", ""), FailureKind.WRONG_ANSWER),
        (http("404 Not Found", '{"error": "no"}'), FailureKind.WRONG_ANSWER),
        (http("302 Found", ""), FailureKind.WRONG_ANSWER),
        (http("200 OK", ACCEPT.model_dump_json(), encoding="gzip"), FailureKind.WRONG_ANSWER),
        (http("200 OK", "{}", "application/json; charset=hex"), FailureKind.WRONG_ANSWER),
        (http("500 Internal Server Error", "{}"), FailureKind.FAILED),
        (http("503 Service Unavailable", '{"error": "no scorer"}'), FailureKind.UNAVAILABLE),
        (http("429 Too Many Requests", "{}"), FailureKind.UNAVAILABLE),
        (http("503 Service Unavailable", "x", encoding="gzip"), FailureKind.UNAVAILABLE),
        (http("504 Gateway Timeout", "{}"), FailureKind.TIMEOUT),
        (http("200 OK", "[" * 3_000_000), FailureKind.WRONG_ANSWER),
        (
            http("200 OK", ACCEPT.model_dump_json() + " " * 3_000_000),
            FailureKind.WRONG_ANSWER,
        ),
    ],
)
def test_an_answer_is_final_whatever_it_is(response: bytes, kind: FailureKind) -> None:
    failure, _, connections = failure_of(saying(response), retries=3)
    assert (failure.kind, connections) == (kind, 1)


def test_a_long_answer_is_neither_kept_nor_told() -> None:
    failure, _, _ = failure_of(saying(http("503 Service Unavailable", "x" * 3_000_000)))
    assert failure.kind == FailureKind.UNAVAILABLE
    assert "xxx" in failure.detail
    assert len(failure.detail) < 400


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400 Bad Request", "unreadable"),
        ("413 Content Too Large", "too_large"),
        ("415 Unsupported Media Type", "unreadable"),
    ],
)
def test_what_is_refused_for_its_bytes_is_a_photo_to_be_taken_again_and_no_failure(
    status: str, code: str
) -> None:
    refusing = saying(http(status, '{"error": "This is JSON."}'))

    async def run() -> Verdict:
        async with answering(refusing) as (url, _):
            with pytest.raises(UnreadablePhoto):
                await RemoteGate(url).check(b"{")
            return await ComposedGate(RemoteGate(url), on_gate_error="accept").check(b"{")

    verdict = asyncio.run(run())
    assert [reason.code for reason in verdict.reasons] == [code]
    assert "127.0.0.1" not in str(verdict)  # nothing of the inside


def test_a_language_of_any_length_is_no_failure(elsewhere: Server) -> None:
    async def run() -> list[Verdict]:
        gate = RemoteGate(elsewhere.url)
        soil = SAMPLES / "bare_soil.jpg"
        return [await gate.check(soil, language) for language in ("fr," * 99_999, "a" * 99_999)]

    french, unknown = asyncio.run(run())
    assert french.reasons[0].message != unknown.reasons[0].message


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (saying(http("200 OK", "\n", "text/plain")), True),
        (saying(http("200 OK", "ready", "text/plain", "gzip")), False),
        (saying(http("302 Found", "")), False),
        (saying(http("503 Service Unavailable", "")), False),
        (saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), False),
        (silent, False),
        (trickling, False),
        (breaking(1, GOOD), False),
    ],
    ids=["ready", "no gzip", "elsewhere", "unavailable", "no web", "silent", "trickling", "broken"],
)
def test_it_is_ready_only_if_it_says_so_in_time(
    answer: Answer, ready: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "READY_SECONDS", 0.5)

    async def run() -> bool:
        async with answering(answer) as (url, _), asyncio.timeout(10):
            return await RemoteGate(url).is_ready()

    assert asyncio.run(run()) is ready


def test_one_that_is_closed_is_not_ready_and_cannot_judge() -> None:
    async def run() -> None:
        async with answering(GOOD) as (url, connections):
            gate = RemoteGate(url)
            await gate.close()
            assert not await gate.is_ready()
            with pytest.raises(GateUnavailable, match="because this RemoteGate is closed"):
                await gate.check(PLANT)
            await gate.close()
            assert connections == []

    asyncio.run(run())


def test_headers_that_a_request_can_have_are_sent() -> None:
    headers = {"Authorization": "Bearer a b==", "X-Empty": "", "x_~!1": '"\t~'}
    seen: list[bytes] = []

    async def looking(
        number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))

    async def run() -> None:
        async with answering(looking) as (url, _):
            await RemoteGate(url, headers=headers).is_ready()

    asyncio.run(run())
    lines = seen[0].decode().split("\r\n")
    assert {f"{name}: {value}" for name, value in headers.items()} <= set(lines)


@pytest.mark.parametrize(("own", "composed"), [(2, 30), (30, 2)])
def test_the_gate_is_told_what_is_left_at_each_attempt(own: float, composed: float) -> None:
    told: list[int] = []

    async def looking(
        number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower().decode()
        told.append(int(head.partition(f"{TIMEOUT.lower()}: ")[2].split("\r\n")[0]))

    async def run() -> None:
        async with answering(looking) as (url, _):
            headers = {TIMEOUT.upper(): "soon"}
            gate = RemoteGate(url, timeout_s=own, retries=1, headers=headers)
            with pytest.raises(GateUnavailable):
                await ComposedGate(gate, timeout_s=composed).check(PLANT)

    asyncio.run(run())
    first, second = told
    assert 0 < second <= first - 1000 * remote.FIRST_PAUSE
    assert first <= 2000


def test_every_form_of_a_photo_arrives(elsewhere: Server) -> None:
    """The same pixels give the same scores; the JPEG itself is decoded by the gate."""

    async def run() -> list[Verdict]:
        gate = RemoteGate(elsewhere.url)
        with Image.open(PLANT) as opened, Image.open(PLANT) as decoded:
            decoded.load()
            pixels = decoded.convert("RGB")
            forms = [
                PLANT.read_bytes(),
                PLANT,
                str(PLANT),
                memoryview(PLANT.read_bytes()),
                opened,
                pixels,
                np.asarray(pixels),
                encode(pixels, "PNG"),
                pixels.convert("RGBA"),
                pixels.convert("CMYK").convert("RGB"),
            ]
            return [await gate.check(form, "fr") for form in forms]

    verdicts = asyncio.run(run())
    assert {verdict.verdict for verdict in verdicts} == {"accept"}
    assert {(verdict.quality.width, verdict.quality.height) for verdict in verdicts} == {(256, 256)}
    probabilities = [verdict.plant_probability for verdict in verdicts]
    assert probabilities == pytest.approx([probabilities[0]] * len(verdicts), abs=1e-3)


def test_a_decoded_image_keeps_its_orientation(elsewhere: Server) -> None:
    image = Image.new("L", (300, 200), 120)
    image.getexif()[0x0112] = 6
    verdict = asyncio.run(RemoteGate(elsewhere.url).check(image))
    assert (verdict.quality.width, verdict.quality.height) == (200, 300)


def test_a_path_in_the_address_is_kept(elsewhere: Server) -> None:
    async def run() -> None:
        async with answering(GOOD) as (url, _):
            await RemoteGate(f"{url}/plantood/").check(PLANT)

    asyncio.run(run())
    wrong = ComposedGate(RemoteGate(f"{elsewhere.url}/not/here"), on_gate_error="retake")
    verdict = asyncio.run(wrong.check(PLANT))
    assert (verdict.verdict, verdict.judged) == ("retake", False)


def test_readiness_is_that_of_the_gate(elsewhere: Server) -> None:
    assert asyncio.run(ComposedGate(RemoteGate(elsewhere.url)).is_ready())
    with httpx.Client(base_url=elsewhere.url) as client:
        assert client.get("/readyz").status_code == 200


def test_a_file_that_is_not_there_is_no_failure_of_the_gate(
    elsewhere: Server, tmp_path: Path
) -> None:
    lost = tmp_path / "lost.jpg"
    for make in (RemoteGate, lambda url: ComposedGate(RemoteGate(url), on_gate_error="retake")):
        with pytest.raises(PhotoNotFound, match=r"lost\.jpg: the file cannot be read: No such"):
            asyncio.run(make(elsewhere.url).check(lost))
    composed = ComposedGate(RemoteGate(elsewhere.url))
    verdict, other = asyncio.run(composed.check_many([lost, PLANT]))
    assert [reason.code for reason in verdict.reasons] == ["unreadable"]
    assert "lost.jpg" in verdict.reasons[0].detail
    assert other.accepted
