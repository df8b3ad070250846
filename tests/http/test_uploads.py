from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import pytest
from starlette.types import Message

from plantood.http import uploads
from plantood.http.room import Uploads, UploadsFull
from plantood.http.uploads import BodyTooLarge, BodyTooSlow, BoundedBody, TooManyFiles
from plantood.refusals import RequestRefused

MEBIBYTE = 1 << 20


class Sender:
    """An ASGI ``receive``: pieces, with pauses in seconds."""

    def __init__(self, *pieces: tuple[float, bytes]) -> None:
        self.pieces = list(pieces)

    async def __call__(self) -> dict[str, Any]:
        if not self.pieces:
            await asyncio.sleep(3600)
        pause, body = self.pieces.pop(0)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": body, "more_body": bool(self.pieces)}


async def _read(sender: Sender, photo_bytes: int = MEBIBYTE, photos: int = 1) -> int:
    body = BoundedBody({"headers": []}, sender, photo_bytes, photos)
    received = 0
    while True:
        event = await body()
        received += len(event["body"])
        if not event["more_body"]:
            return received


def test_a_body_that_arrives_is_let_through() -> None:
    assert asyncio.run(_read(Sender((0, b"a" * 1000), (0, b"b" * 1000)))) == 2000


def test_a_body_above_its_limit_is_refused() -> None:
    pieces = [(0.0, bytes(MEBIBYTE))] * 3
    with pytest.raises(BodyTooLarge):
        asyncio.run(_read(Sender(*pieces), MEBIBYTE))
    assert asyncio.run(_read(Sender(*pieces), MEBIBYTE, photos=3)) == 3 * MEBIBYTE


@pytest.mark.parametrize("declared", [b"99999999", b"9" * 5000])
def test_a_body_that_says_that_it_is_too_large_is_not_read(declared: bytes) -> None:
    async def scenario() -> None:
        body = BoundedBody({"headers": [(b"content-length", declared)]}, Sender(), 1000, 1)
        assert isinstance(body.refusal, BodyTooLarge)

    asyncio.run(scenario())


def test_a_body_that_stops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 0.1)
    with pytest.raises(BodyTooSlow):
        asyncio.run(asyncio.wait_for(_read(Sender((0, b"a"), (60, b"b"))), 5))


def test_a_body_that_is_slower_than_any_phone_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 0.1)
    slow = [(0.02, b"x")] * 500
    with pytest.raises(BodyTooSlow):
        asyncio.run(asyncio.wait_for(_read(Sender(*slow)), 5))
    fast_enough = [(0.02, b"x" * 100)] * 20  # 5 kB a second, for longer than the grace
    assert asyncio.run(_read(Sender(*fast_enough))) == 2000


def test_a_body_that_came_fast_has_earned_no_long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 0.3)
    silent = Sender((0, bytes(MEBIBYTE)), (60, b"b"))
    with pytest.raises(BodyTooSlow):
        asyncio.run(asyncio.wait_for(_read(silent, 2 * MEBIBYTE), 5))
    trickling = Sender((0, bytes(MEBIBYTE)), *[(0.02, b"x")] * 500)
    with pytest.raises(BodyTooSlow):
        asyncio.run(asyncio.wait_for(_read(trickling, 2 * MEBIBYTE), 5))
    pausing = Sender(*[(0.2, bytes(1024))] * 5)  # each pause shorter than the grace
    assert asyncio.run(_read(pausing)) == 5 * 1024


def test_the_time_in_which_a_piece_is_stored_is_not_the_senders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 0.2)

    async def scenario() -> None:
        body = BoundedBody({"headers": []}, Sender(*[(0.01, bytes(100))] * 3), MEBIBYTE, 1)
        for _ in range(3):
            await body()
            await asyncio.sleep(0.3)

    asyncio.run(scenario())


def test_a_refusal_by_whoever_hands_the_body_on_is_its_own() -> None:
    """As one for which there is no place: whoever answers for the body looks there."""
    refused = RequestRefused("Too many.", HTTPStatus.TOO_MANY_REQUESTS)

    async def full() -> Message:
        raise refused

    async def scenario() -> None:
        body = BoundedBody({"headers": []}, full, MEBIBYTE, 1)
        with pytest.raises(RequestRefused):
            await body()
        assert body.refusal is refused

    asyncio.run(scenario())


@pytest.mark.parametrize("refused", [UploadsFull(), TooManyFiles(16)], ids=["room", "files"])
def test_what_comes_after_a_refusal_may_be_refused_in_turn_and_the_answer_ends(
    refused: RequestRefused,
) -> None:
    """As one for which there was no room, and which goes on to pass its limit."""
    sent: list[Message] = []

    async def scenario() -> None:
        too_large = [(0.0, bytes(MEBIBYTE))] * 3
        refused.rest = BoundedBody({"headers": []}, Sender(*too_large), MEBIBYTE, 1)
        answer = uploads.refused_upload(refused)

        async def send(event: Message) -> None:
            sent.append(event)

        await answer({"type": "http"}, Sender(), send)

    asyncio.run(scenario())
    assert [event.get("more_body") for event in sent] == [None, True, None]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Uploads:
    """All room of the process, 80 % of it taken by what has been sent here."""
    room = Uploads(10 * MEBIBYTE)
    room.take(8 * MEBIBYTE)
    monkeypatch.setattr(uploads, "uploads_of_process", lambda: room)
    monkeypatch.setattr(uploads, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(uploads, "LOOK_SECONDS", 0.05)
    return room


SILENT = [(0.0, bytes(MEBIBYTE)), (1.0, b"b")]
TRICKLING = [(0.0, bytes(MEBIBYTE)), *[(0.02, bytes(100))] * 50]


@pytest.mark.parametrize("pieces", [SILENT, TRICKLING])
def test_a_body_that_hardly_grows_makes_room_for_others(
    pieces: list[tuple[float, bytes]], room: Uploads
) -> None:
    with pytest.raises(UploadsFull):
        asyncio.run(asyncio.wait_for(_read(Sender(*pieces), 2 * MEBIBYTE), 5))


@pytest.mark.parametrize("pieces", [SILENT, TRICKLING])
def test_it_stays_while_there_is_room(pieces: list[tuple[float, bytes]], room: Uploads) -> None:
    room.bytes = 7 * MEBIBYTE
    assert asyncio.run(_read(Sender(*pieces), 2 * MEBIBYTE)) > MEBIBYTE


def test_a_small_one_stays_and_one_that_grows(room: Uploads) -> None:
    small = [(0.0, bytes(5000)), *[(0.05, bytes(60))] * 20]
    assert asyncio.run(_read(Sender(*small), 2 * MEBIBYTE)) == 6200
    growing = [(0.1, bytes(MEBIBYTE // 10))] * 10
    assert asyncio.run(_read(Sender(*growing), 2 * MEBIBYTE)) > MEBIBYTE - 10
