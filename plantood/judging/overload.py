"""Whether a further photo could still be judged in time; if not, it is refused at once.

A queue that grows longer than its photos may wait answers nobody in time: each one is given up
after it has cost its work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from plantood.judging.failures import FailureKind, GateUnavailable

SMOOTHING = 0.05
"""Weight of the newest photo in the moving average: about the last twenty count."""


class Queue:
    """Knows how many photos are in hand, and how fast they leave. Belongs to one event loop."""

    def __init__(self, longest_wait_s: float) -> None:
        """Refuse what would have to wait longer than so many seconds."""
        self._longest_wait = longest_wait_s
        self._in_hand = 0
        self._seconds_a_photo = 0.0
        self._last_left = self._busy_since = float("-inf")

    @property
    def wait_s(self) -> float:
        """Seconds that a photo would take which came now."""
        return (self._in_hand + 1) * self._seconds_a_photo

    def place(self) -> AbstractContextManager[None]:
        """One photo's place, to be taken at once, for as long as it is being judged.

        Raises:
            GateUnavailable: It would have to wait too long.
        """
        came = time.monotonic()
        if not self._in_hand:
            self._busy_since = came
        standstill = came - max(self._last_left, self._busy_since)
        if self._in_hand and max(self.wait_s, standstill) > self._longest_wait:
            raise GateUnavailable(
                FailureKind.UNAVAILABLE,
                f"{self._in_hand} photos are in hand, {self._seconds_a_photo:.3f} s each, and the "
                f"last one left {standstill:.1f} s ago",
            )
        return self._taken(came)

    @contextmanager
    def _taken(self, came: float) -> Iterator[None]:
        self._in_hand += 1
        try:
            yield
            self._learn(came)
        finally:
            self._in_hand -= 1

    def _learn(self, came: float) -> None:
        """A photo was judged. One that was given up teaches nothing: it may be the only such."""
        now = time.monotonic()
        # Between two that leave one after the other lies what one costs, unless nothing was in
        # hand before this one came.
        took = now - max(self._last_left, came)
        self._seconds_a_photo += SMOOTHING * (took - self._seconds_a_photo)
        self._last_left = now
