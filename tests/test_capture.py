from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client import REGISTRY

from plantood import capture
from plantood.capture import Capture
from plantood.errors import SettingsError
from plantood.settings import Settings
from plantood.verdict import Reason, ReasonCode, Verdict
from tests.photos import encode, scene


def verdict(probability: float | None = None, *codes: ReasonCode) -> Verdict:
    return Verdict(
        verdict="retake" if codes else "accept",
        reasons=[Reason(code=code, message="Please take another one.") for code in codes],
        plant_probability=probability,
        threshold=0.5,
        model="plantood-gate:1",
    )


REFUSED = verdict(0.2, ReasonCode.NOT_A_PLANT)


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    exif = Image.Exif()
    exif[0x010F] = "Ann's phone"
    return [encode(scene(120, 100, seed), exif=exif) for seed in range(12)]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    opened = []

    def make(place: object = tmp_path / "captured", per_day: int = 100) -> Capture:
        opened.append(Capture(str(place), margin=0.1, per_day=per_day))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("plantood_captured_total", {"outcome": outcome}) or 0.0


def names(folder: Path) -> list[str]:
    return sorted(f"{file.parent.name}/{file.name}" for file in folder.glob("*/*"))


@pytest.mark.parametrize(
    ("judged", "wanted"),
    [
        (verdict(0.99), False),
        (verdict(0.61), False),
        (verdict(0.59), True),
        (verdict(0.50), True),
        (verdict(0.49, ReasonCode.NOT_A_PLANT), True),
        (verdict(0.01, ReasonCode.NOT_A_PLANT), True),
        (verdict(0.99, ReasonCode.UNFAMILIAR), True),
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

    monkeypatch.setattr(capture, "datetime", Clock)
    kept = keep(per_day=2)
    for photo in photos[:4]:
        kept.offer(photo, REFUSED)
    _until(lambda: not kept._queue and not kept._queued_bytes)
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


def _keep_all(place: str, photos: list[bytes], start: Any) -> None:
    kept = Capture(place, margin=0.1, per_day=9)
    start.wait(60)
    for photo in photos:
        kept.offer(photo, REFUSED)
    kept.close(60)


def test_several_processes_share_the_cap(tmp_path: Path, photos: list[bytes]) -> None:
    context = multiprocessing.get_context("forkserver")
    start = context.Event()
    work = [photos[0:8], photos[2:10], photos[4:12]]
    processes = [
        context.Process(target=_keep_all, args=(str(tmp_path / "captured"), piece, start))
        for piece in work
    ]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    found = names(tmp_path / "captured")
    assert [Path(name).name for name in found if name.endswith(".jpg")] == [
        f"{n:05}.jpg" for n in range(1, 10)
    ]
    assert len(found) == 18
    for file in (tmp_path / "captured").glob("*/*.json"):
        assert json.loads(file.read_text())["verdict"] == "retake"


def test_the_request_never_waits(
    keep: Callable[..., Capture], photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The destination hangs: the queue fills up to its bound, the rest is dropped and counted."""
    kept = keep()
    hangs = threading.Event()
    monkeypatch.setattr(kept._destination, "create", lambda *_: hangs.wait(60))
    monkeypatch.setattr(capture, "QUEUE_BYTES", sum(map(len, photos[:5])))
    before = count("dropped")
    started = time.perf_counter()
    for photo in photos:
        kept.offer(photo, REFUSED)
    assert time.perf_counter() - started < 1
    assert count("dropped") == before + len(photos) - 5
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
        _until(lambda: count("failed") == before + 5)
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


def test_a_url(keep: Callable[..., Capture], photos: list[bytes]) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for piece in (photos[:3], photos[2:]):
        kept = keep("memory://bucket/captured", per_day=5)
        for photo in piece:
            kept.offer(photo, REFUSED)
        kept.close()
    found = sorted(path.rpartition("/")[2] for path in memory.find("/bucket/captured"))
    assert found == sorted(f"{n:05}.{end}" for n in range(1, 6) for end in ("jpg", "json"))


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("/proc/captured", "cannot be written to"),
        ("nope://bucket", "Protocol not known"),
        ("/etc/passwd/x", "cannot be written to"),
    ],
)
def test_a_place_that_cannot_be_used(place: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        Capture.from_settings(Settings(capture=place))
    assert f"PLANTOOD_CAPTURE='{place}'" in str(caught.value)


def test_nothing_is_kept_unless_asked_for() -> None:
    assert Capture.from_settings(Settings()) is None


def test_a_killed_process_leaves_whole_photos_only(tmp_path: Path, photos: list[bytes]) -> None:
    context = multiprocessing.get_context("forkserver")
    start = context.Event()
    start.set()
    process = context.Process(target=_keep_all, args=(str(tmp_path / "captured"), photos, start))
    process.start()
    _until(lambda: len(names(tmp_path / "captured")) > 3)
    process.kill()
    process.join()
    for file in (tmp_path / "captured").glob("*/*.jpg"):
        with Image.open(file) as image:
            image.load()
        assert json.loads(file.with_suffix(".json").read_text())["verdict"] == "retake"


def _until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
