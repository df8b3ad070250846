from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from plantood.training.mining.labelled import read_labelled
from plantood.training.mining.sources import FetchError, read
from plantood.training.photos.scan import scan_file
from plantood.training.rounds.plain import MOST_BYTES, read_file
from tests.training.beside import in_time


def test_files_are_read_also_by_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert read_file(tmp_path / "a") == read_file(tmp_path / "b") == b"content"
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "c")


def test_no_more_is_read_of_a_file_than_a_photo_may_have(tmp_path: Path) -> None:
    with (tmp_path / "film.jpg").open("wb") as film:
        film.truncate(1 << 40)
    assert len(read_file(tmp_path / "film.jpg")) == MOST_BYTES + 1
    assert len(read(str(tmp_path / "film.jpg"))) == MOST_BYTES + 1
    assert len(read(str(tmp_path / "film.jpg"), 9)) == 10
    assert "more than the limit" in scan_file(tmp_path / "film.jpg").error


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.jpg"))
    names = ["pipe.jpg", "link.jpg", "self.jpg", "folder.jpg", "socket.jpg"]
    for path in [*(tmp_path / name for name in names), Path("/dev/zero")]:
        assert isinstance(in_time(read_file, path), OSError)
        assert in_time(scan_file, path).error
        assert isinstance(in_time(read, str(path)), FetchError)
    listed = tmp_path / "done.csv"
    listed.write_text("path,label\n" + "".join(f"{name},plant\n" for name in names))
    assert in_time(read_labelled, [str(listed)]).digests == set()
