"""Work in threads beside the main one, with bounded memory and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from plantood.model.runtime import usable_cpus

T = TypeVar("T")
R = TypeVar("R")


def map_in_order(
    function: Callable[[T], R], items: Iterable[T], threads: int | None = None, ahead: int = 64
) -> Iterator[R]:
    """``map`` over threads: results in the order of the items, at most ``ahead`` of them waiting.

    Decoding a photo leaves Python's lock most of the time, so threads do run at once.
    """
    with ThreadPoolExecutor(threads or usable_cpus()) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
