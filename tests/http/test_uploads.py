from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from plantood.http import uploads
from plantood.http.uploads import (
    DISK_SPOOL_BYTES,
    IN_MEMORY,
    BodyTooLarge,
    BodyTooSlow,
    BoundedBody,
    Uploads,
    UploadsFull,
)

MEBIBYTE = 1 << 20


def test_bytes_are_counted_until_the_file_is_closed() -> None:
    counted = Uploads(100)
    with counted.open() as file:
        file.write(bytes(60))
        assert (counted.bytes, counted.in_memory) == (60, 1)
    assert (counted.bytes, counted.in_memory) == (0, 0)
    file.close()
    assert counted.bytes == 0  # not twice


def test_a_file_that_nobody_has_any_more_is_counted_out() -> None:
    counted = Uploads(100)
    file = counted.open()
    file.write(bytes(60))
    del file
    gc.collect()
    assert (counted.bytes, counted.in_memory) == (0, 0)


def test_what_passes_the_limit_of_all_together_is_refused_and_can_be_sent_later() -> None:
    counted = Uploads(100)
    first, second = counted.open(), counted.open()
    first.write(bytes(60))
    with pytest.raises(UploadsFull):
        second.write(bytes(60))
    first.close()
    second.write(bytes(60))


def test_only_so_many_are_in_memory() -> None:
    counted = Uploads(1 << 40)
    files = [counted.open() for _ in range(IN_MEMORY + 1)]
    for file in files:
        file.write(bytes(DISK_SPOOL_BYTES + 1))
    assert [file._rolled for file in files] == [False] * IN_MEMORY + [True]
    files[0].close()
    again = counted.open()
    again.write(bytes(DISK_SPOOL_BYTES + 1))
    assert not again._rolled


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
