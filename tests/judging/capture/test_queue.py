from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plantood.judging.capture import queue
from plantood.judging.capture.queue import Capture
from plantood.settings import Settings
from plantood.verdict import ReasonCode, Verdict
from tests.judging.capture.kept import REFUSED, count, names, until, verdict
from tests.photos import encode, scene
from tests.security import payloads


@pytest.mark.parametrize(
    ("judged", "wanted"),
    [
        (verdict(0.99), False),
        (verdict(0.61), False),
        (verdict(0.59), True),
        (verdict(0.50), True),
        (verdict(0.49, ReasonCode.NOT_A_PLANT), True),
        (verdict(0.01, ReasonCode.NOT_A_PLANT), True),
        (verdict(None, ReasonCode.TOO_DARK, ReasonCode.TOO_BLURRY), True),
        (verdict(None, ReasonCode.UNREADABLE), False),
    ],
)
def test_what_is_kept(
    keep: Callable[..., Capture], tmp_path: Path, photos: list[bytes], judged: Verdict, wanted: bool
) -> None:
    kept = keep()
    assert kept.wants(judged) is wanted
    kept.offer(photos[0], judged)
    kept.close()
    assert len(names(tmp_path / "captured")) == 2 * wanted


def test_a_photo_and_its_verdict(
    keep: Callable[..., Capture], tmp_path: Path, photos: list[bytes]
) -> None:
    before = count("kept")
    kept = keep()
    kept.offer(photos[0], REFUSED)
    kept.offer(encode(scene(120, 100), "PNG"), verdict(0.55))
    kept.close()
    day = f"{time.strftime('%Y-%m-%d', time.gmtime())}"
    assert names(tmp_path / "captured") == [
        f"{day}/00001.jpg",
        f"{day}/00001.json",
        f"{day}/00002.json",
        f"{day}/00002.png",
    ]
    folder = tmp_path / "captured" / day
    assert b"Ann" in photos[0]
    assert b"Ann" not in (folder / "00001.jpg").read_bytes()
    assert Verdict.model_validate_json((folder / "00001.json").read_bytes()) == REFUSED
    assert count("kept") == before + 2


def test_a_photo_that_is_sent_again_is_kept_once(
    keep: Callable[..., Capture], tmp_path: Path, photos: list[bytes]
) -> None:
    kept = keep()
    for photo in photos[:2] * 3:
        kept.offer(photo, REFUSED)
    kept.close()
    assert len(names(tmp_path / "captured")) == 4


def test_a_photo_is_saved_anew_within_memory_of_its_own(
    keep: Callable[..., Capture], tmp_path: Path
) -> None:
    """The thread that writes decodes beside those that judge, whose memory is not its own."""
    before = count("failed")
    kept = keep()
    kept.offer(encode(scene(400, 300), "WEBP"), REFUSED)
    kept.offer(payloads.flat("WEBP", 4000, 3500, method=0), REFUSED)
    kept.close(60)
    assert len(names(tmp_path / "captured")) == 2
    assert count("failed") == before + 1


def test_pixels_and_paths_are_not_kept(keep: Callable[..., Capture], tmp_path: Path) -> None:
    kept = keep()
    for photo in (scene(), Path("leaf.jpg"), None):
        kept.offer(photo, REFUSED)
    kept.close()
    assert names(tmp_path / "captured") == []


def test_the_cap_of_a_day(
    keep: Callable[..., Capture], tmp_path: Path, photos: list[bytes]
) -> None:
    before = count("over_cap")
    for piece in (photos[:4], photos[4:]):  # also after a restart
        kept = keep(per_day=6)
        for photo in piece:
            kept.offer(photo, REFUSED)
        kept.close()
    assert len(names(tmp_path / "captured")) == 12
    assert count("over_cap") == before + len(photos) - 6


def test_another_day_has_a_cap_of_its_own(
    keep: Callable[..., Capture],
    tmp_path: Path,
    photos: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from datetime import datetime

    class Clock(datetime):
        day = 1

        @classmethod
        def now(cls, zone: Any = None) -> datetime:
            return datetime(2026, 3, cls.day, tzinfo=zone)

    monkeypatch.setattr(queue, "datetime", Clock)
    kept = keep(per_day=2)
    for photo in photos[:4]:
        kept.offer(photo, REFUSED)
    until(lambda: not kept._queue and not kept._queued_bytes)
    Clock.day = 2
    kept.offer(photos[5], REFUSED)
    kept.offer(photos[0], REFUSED)  # kept the day before
    kept.close()
    assert [name for name in names(tmp_path / "captured") if name.endswith(".jpg")] == [
        "2026-03-01/00001.jpg",
        "2026-03-01/00002.jpg",
        "2026-03-02/00001.jpg",
        "2026-03-02/00002.jpg",
    ]


def test_the_request_never_waits(
    keep: Callable[..., Capture], photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The destination hangs: the queue fills up to its bound, the rest is dropped and counted."""
    kept = keep()
    hangs = threading.Event()
    monkeypatch.setattr(kept._destination, "create", lambda *_: hangs.wait(60))
    monkeypatch.setattr(queue, "QUEUE_BYTES", sum(map(len, photos[:5])))
    before = count("dropped")
    started = time.perf_counter()
    for photo in photos:
        kept.offer(photo, REFUSED)
    assert time.perf_counter() - started < 1
    assert count("dropped") == before + len(photos) - 5
    hangs.set()


def test_no_number_of_tiny_photos_fills_the_memory(
    keep: Callable[..., Capture], photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep()
    hangs = threading.Event()
    monkeypatch.setattr(kept._destination, "create", lambda *_: hangs.wait(60))
    kept.offer(photos[0], REFUSED)
    until(lambda: not kept._queue)
    before = count("dropped")
    for _ in range(queue.QUEUE_PHOTOS + 7):
        kept.offer(b"tiny", REFUSED)
    assert len(kept._queue) == queue.QUEUE_PHOTOS <= 10_000
    assert count("dropped") == before + 7
    kept._queue.clear()
    hangs.set()


def test_a_failing_destination_fails_no_request(
    keep: Callable[..., Capture],
    tmp_path: Path,
    photos: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = keep(per_day=3)
    before = count("failed")

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken, caplog.at_level("WARNING", "bentoml.plantood"):
        broken.setattr(kept._destination, "create", full)
        for photo in photos[:5]:
            kept.offer(photo, REFUSED)
        until(lambda: count("failed") == before + 5)
    assert caplog.text.count("could not be kept") == 1  # not once for every photo
    for photo in photos[:5]:
        kept.offer(photo, REFUSED)
    kept.close()
    assert len(names(tmp_path / "captured")) == 6  # the failures did not use up the day's cap


def test_a_photo_that_cannot_be_stripped_is_not_kept(
    keep: Callable[..., Capture], tmp_path: Path
) -> None:
    before = count("failed")
    kept = keep()
    kept.offer(b"\xff\xd8\xff\xe1\x00\x10abc", REFUSED)
    kept.close()
    assert count("failed") == before + 1
    assert names(tmp_path / "captured") == []


def test_nothing_is_kept_unless_asked_for() -> None:
    assert Capture.from_settings(Settings()) is None
