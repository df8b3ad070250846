from __future__ import annotations

import gc
import tempfile

import pytest

from plantood.http.protocol import CONNECTIONS
from plantood.http.room import DISK_SPOOL_BYTES, IN_MEMORY, SPOOL_BYTES, Uploads, UploadsFull


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
