from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from plantood.training.files.atomic import write_atomic, write_bytes


@pytest.mark.parametrize("to_disk", [True, False])
def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, to_disk: bool
) -> None:
    file = tmp_path / "f"
    write_bytes(file, b"old", to_disk=to_disk)

    def fail(opened: IO[bytes]) -> None:
        opened.write(b"half of the n")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomic(file, fail, to_disk=to_disk)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_two_threads_may_write_one_file(tmp_path: Path) -> None:
    both_are_at_it = threading.Barrier(2, timeout=20)

    def write(content: bytes) -> None:
        def slowly(opened: IO[bytes]) -> None:
            opened.write(content)
            both_are_at_it.wait()

        write_atomic(tmp_path / "f", slowly)

    contents = [b"a" * 100_000, b"b" * 100_000]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, contents))
    assert (tmp_path / "f").read_bytes() in contents
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]
