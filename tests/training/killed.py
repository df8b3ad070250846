"""Work that is killed in the middle of a write, whichever: what a power cut or ``kill -9`` does."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["plantood.training.mining.mine"])


def killed_at(write: int, folder: Path, work: Callable[..., object], *args: Any) -> bool:
    """Do some work in a process of its own, killed when half of one write has reached the file.

    Args:
        write: Which write to a file below ``folder``, counted from 0.
        folder: Where the work writes.
        work: A function of a module, with ``args``.

    Returns:
        False if the work was done before it wrote so often.
    """
    process = _context.Process(target=_run, args=(write, folder, work, args))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), f"it failed by itself: {process.exitcode}"
    return process.exitcode != 0


def kill_when(condition: Callable[[], object], command: Sequence[str]) -> None:
    """Run a command, killed as soon as the condition holds, which has to be before it ends."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not condition():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


def _run(write: int, folder: Path, work: Callable[..., object], args: tuple[Any, ...]) -> None:
    real_open, left = io.open, write

    def counting_open(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        opened = real_open(file, mode, *rest, **options)
        if set(mode) & set("wa+x") and str(file).startswith(str(folder)):
            return _Dying(opened, is_last)
        return opened

    def is_last() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    io.open = counting_open  # what Path.open calls
    work(*args)


class _Dying:
    """A file that kills its process in the middle of a write."""

    def __init__(self, file: Any, is_last: Callable[[], bool]) -> None:
        self._file, self._is_last = file, is_last

    def write(self, data: Any) -> int:
        if self._is_last():
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Dying:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
