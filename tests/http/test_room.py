from __future__ import annotations

import gc
import tempfile

import pytest

from plantood.http import room
from plantood.http.protocol import CONNECTIONS, DESCRIPTORS
from plantood.http.room import (
    IN_MEMORY,
    SPOOL_BYTES,
    PhotoFile,
    Uploads,
    UploadsFull,
    most_on_disk,
)


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


def in_memory(files: list[PhotoFile]) -> int:
    """Bytes that are really there."""
    return sum(file.tell() for file in files if not file._rolled)


@pytest.mark.parametrize("size", [1, 2, 1000, 64 << 10, (64 << 10) + 1])
def test_only_so_many_are_in_memory_however_small_they_are(size: int) -> None:
    counted = Uploads(1 << 40)
    slots = [counted.open() for _ in range(IN_MEMORY)]
    others = [counted.open() for _ in range(500)]
    for file in slots + others:
        for start in range(0, size, 4096):
            file.write(bytes(min(4096, size - start)))
    assert in_memory(slots) == IN_MEMORY * size
    assert in_memory(others) <= len(others)  # a byte each: more are on disk
    assert counted.on_disk == (len(others) if size > 1 else 0)
    slots[0].close()
    again = counted.open()
    again.write(bytes(size))
    assert not again._rolled
    for file in [*slots, *others, again]:
        file.close()
    assert (counted.bytes, counted.in_memory, counted.on_disk) == (0, 0, 0)


def test_none_has_more_in_memory_than_its_share() -> None:
    counted = Uploads(1 << 40)
    files = [counted.open() for _ in range(3)]
    for file in files:
        file.write(bytes(SPOOL_BYTES))
    assert in_memory(files) == 3 * SPOOL_BYTES
    files[0].write(b"x")
    assert in_memory(files) == 2 * SPOOL_BYTES
    assert counted.on_disk == 1
    files[0].fileno()  # which puts it on disk, had it not been there
    assert counted.on_disk == 1


def test_tiny_ones_take_no_descriptor_that_a_connection_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "IN_MEMORY", 0)
    monkeypatch.setattr(room, "most_on_disk", lambda: 3)
    counted = Uploads(1 << 40)
    files = [counted.open() for _ in range(4)]
    for file in files[:3]:
        file.write(b"tiny")
    with pytest.raises(UploadsFull):
        files[3].write(b"tiny")
    assert counted.lacks(1)  # so that those which do not go on are given up
    files[0].close()
    assert not counted.lacks(1)
    counted.open().write(b"tiny")


@pytest.mark.parametrize("given", [256, 1024, 4096, DESCRIPTORS])
def test_uploads_and_connections_have_the_descriptors_that_there_are(
    given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "descriptors", lambda: given)
    assert 0 < most_on_disk() <= given - min(CONNECTIONS, given // 2) - min(900, given // 10)


def test_where_no_file_can_be_written_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Uploads(1 << 30)
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null")  # no folder
    with counted.open() as file:
        file.write(b"small")
        with pytest.raises(UploadsFull):
            file.write(bytes(SPOOL_BYTES + 1))


def test_room_is_never_short_where_everybody_holds_his_share() -> None:
    counted = Uploads(1 << 20)
    with counted.open() as file:
        file.write(bytes(700 << 10))
        assert not counted.lacks(700 << 10)  # there is room for others
        file.write(bytes(100 << 10))
        assert counted.lacks(800 << 10)
        share = int(0.75 * counted.limit / CONNECTIONS)
        assert not counted.lacks(share)
        assert counted.lacks(share + 1)
