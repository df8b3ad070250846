from __future__ import annotations

from contextlib import suppress

import pytest

from plantood.judging import overload
from plantood.judging.failures import FailureKind, GateUnavailable
from plantood.judging.overload import Queue


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(overload, "time", clock)
    return clock


def _one_after_the_other(queue: Queue, clock: Clock, photos: int, seconds: float) -> None:
    for _ in range(photos):
        with queue.place():
            clock.now += seconds
        clock.now += 10  # nothing is in hand


def test_a_lone_photo_is_never_refused(clock: Clock) -> None:
    queue = Queue(longest_wait_s=1)
    _one_after_the_other(queue, clock, 200, 5.0)
    assert queue.wait_s == pytest.approx(5.0, rel=0.01)
    with queue.place():
        clock.now += 5


def test_a_photo_that_would_wait_too_long_is_refused_at_once(clock: Clock) -> None:
    queue = Queue(longest_wait_s=1)
    _one_after_the_other(queue, clock, 200, 0.1)
    places = [queue.place() for _ in range(10)]
    for place in places:
        place.__enter__()
    with pytest.raises(GateUnavailable) as refused:
        queue.place().__enter__()
    assert refused.value.kind is FailureKind.UNAVAILABLE
    for place in places:
        clock.now += 0.1
        place.__exit__(None, None, None)
    with queue.place():  # there is room again
        pass


def test_under_load_it_counts_what_leaves_and_not_how_long_each_waited(clock: Clock) -> None:
    """Eight at a time, one leaves each tenth of a second: each has waited 0.8 s."""
    queue = Queue(longest_wait_s=5)
    in_hand = []
    for _ in range(8):
        place = queue.place()
        place.__enter__()
        in_hand.append(place)
    for _ in range(300):
        clock.now += 0.1
        in_hand.pop(0).__exit__(None, None, None)
        place = queue.place()
        place.__enter__()
        in_hand.append(place)
    assert queue.wait_s == pytest.approx(9 * 0.1, rel=0.05)


def test_while_nothing_leaves_nobody_joins(clock: Clock) -> None:
    queue = Queue(longest_wait_s=1)
    stuck = queue.place()
    stuck.__enter__()
    clock.now += 0.9
    with queue.place():
        pass
    clock.now += 1.1
    with pytest.raises(GateUnavailable):
        queue.place().__enter__()
    stuck.__exit__(None, None, None)  # it was given up
    with queue.place():
        pass


def test_photos_that_are_given_up_do_not_hold_back_those_that_come_after(clock: Clock) -> None:
    """As three that a decoder is busy with for 20 s each."""
    queue = Queue(longest_wait_s=10)
    _one_after_the_other(queue, clock, 200, 0.1)
    for _ in range(3):
        with suppress(TimeoutError), queue.place():
            clock.now += 20
            raise TimeoutError
    assert queue.wait_s == pytest.approx(0.1, rel=0.01)
    places = [queue.place() for _ in range(16)]
    for place in places:
        place.__enter__()
