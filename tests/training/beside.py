"""Work beside the test: in processes of its own, or in a thread that is not waited for."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from typing import Any


def in_processes(work: Callable[..., object], *calls: tuple[Any, ...]) -> None:
    """Call a function of a module once for each tuple of arguments, all at the same time."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=call) for call in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def in_time(work: Callable[..., Any], *args: object) -> Any:
    """What a call returns, or the error that it raises; it must not wait for ever."""
    told: list[Any] = []

    def run() -> None:
        try:
            told.append(work(*args))
        except Exception as error:
            told.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert told, "it waits"
    return told[0]
