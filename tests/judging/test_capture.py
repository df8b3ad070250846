from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client import REGISTRY

from plantood.errors import SettingsError
from plantood.judging.capture import queue
from plantood.judging.capture.queue import Capture
from plantood.settings import Settings
from plantood.verdict import Reason, ReasonCode, Verdict
from tests.photos import encode, scene
from tests.training.rounds.disk import fill, small_disk


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

    monkeypatch.setattr(queue, "datetime", Clock)
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
    _until(lambda: not kept._queue)
    before = count("dropped")
    for _ in range(queue.QUEUE_PHOTOS + 7):
        kept.offer(b"tiny", REFUSED)
    assert len(kept._queue) == queue.QUEUE_PHOTOS <= 10_000
    assert count("dropped") == before + 7
    kept._queue.clear()
    hangs.set()


@pytest.mark.parametrize("room", [0, 8192])  # not even for the verdict; for it, but not the photo
def test_a_full_disk_uses_up_no_number(
    keep: Callable[..., Capture], tmp_path: Path, room: int
) -> None:
    large = [encode(scene(900, 700, seed)) for seed in range(4)]
    assert min(map(len, large)) > 2 * 8192
    with small_disk(tmp_path / "disk", "1m") as disk:
        kept = keep(disk / "captured", per_day=4)
        kept.offer(large[0], REFUSED)
        _until(lambda: len(names(disk / "captured")) == 2)
        (day,) = (disk / "captured").iterdir()
        filler = fill(disk)
        os.truncate(filler, filler.stat().st_size - room)
        before = count("failed")
        for photo in large * 3:
            kept.offer(photo, REFUSED)
        _until(lambda: count("failed") == before + 9)  # the first one is kept already
        assert [file.name for file in sorted(day.iterdir())] == ["00001.jpg", "00001.json"]
        filler.unlink()
        for photo in large:
            kept.offer(photo, REFUSED)
        kept.close()
        expected = [f"0000{n}.{end}" for n in range(1, 5) for end in ("jpg", "json")]
        assert [file.name for file in sorted(day.iterdir())] == expected
        for file in day.glob("*.json"):
            assert Verdict.model_validate_json(file.read_bytes()) == REFUSED


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


def test_a_claim_at_a_url_is_taken_back(
    keep: Callable[..., Capture], photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.store.clear()
    kept = keep("memory://bucket/captured", per_day=2)
    works = memory.pipe_file

    def no_photo(path: str, *rest: Any, **options: Any) -> None:
        if path.endswith(".jpg"):
            raise OSError(errno.EIO, "gone")
        works(path, *rest, **options)

    before = count("failed")
    with monkeypatch.context() as broken:
        broken.setattr(
            type(memory), "pipe_file", lambda _, *rest, **options: no_photo(*rest, **options)
        )
        for photo in photos[:4]:
            kept.offer(photo, REFUSED)
        _until(lambda: count("failed") == before + 4)
    assert memory.find("/bucket/captured") == []
    for photo in photos[:4]:
        kept.offer(photo, REFUSED)
    kept.close()
    assert len(memory.find("/bucket/captured")) == 4


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_nobody_else_can_look_at_the_photos(
    keep: Callable[..., Capture], tmp_path: Path, photos: list[bytes], umask: int
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there").chmod(0o755)
    before = os.umask(umask)
    try:
        kept = keep(tmp_path / "there" / "new" / "captured")
        kept.offer(photos[0], REFUSED)
        kept.close()
    finally:
        os.umask(before)
    found = {
        path.suffix or path.name: stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
        if "-" not in path.name
    }
    assert found == {"there": 0o755, "new": 0o700, "captured": 0o700, ".jpg": 0o600, ".json": 0o600}
    (day,) = (tmp_path / "there" / "new" / "captured").iterdir()
    assert stat.S_IMODE(day.stat().st_mode) == 0o700


def test_a_link_in_place_of_a_day_is_not_followed(
    keep: Callable[..., Capture], tmp_path: Path, photos: list[bytes]
) -> None:
    before = count("failed")
    kept = keep()
    (tmp_path / "elsewhere").mkdir()
    day = tmp_path / "captured" / f"{time.strftime('%Y-%m-%d', time.gmtime())}"
    day.symlink_to(tmp_path / "elsewhere")
    kept.offer(photos[0], REFUSED)
    _until(lambda: count("failed") == before + 1)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    day.unlink()
    kept.offer(photos[0], REFUSED)
    kept.close()
    assert len(names(tmp_path / "captured")) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to somebody else")
def test_a_link_of_another_user_is_no_destination(
    keep: Callable[..., Capture], tmp_path: Path, photos: list[bytes]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "captured"
    link.symlink_to(tmp_path / "elsewhere")
    kept = keep(link)  # the operator's own
    kept.offer(photos[0], REFUSED)
    kept.close()
    assert len(names(tmp_path / "elsewhere")) == 2
    os.lchown(link, 12345, 12345)
    with pytest.raises(SettingsError, match="a link that another user made"):
        keep(link)


def test_a_file_system_without_hard_links(
    keep: Callable[..., Capture],
    tmp_path: Path,
    photos: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    for piece in (photos[:3], photos[2:6]):
        kept = keep(per_day=5)
        for photo in piece:
            kept.offer(photo, REFUSED)
        kept.close()
    assert len(names(tmp_path / "captured")) == 10
    for file in (tmp_path / "captured").glob("*/*.json"):
        assert Verdict.model_validate_json(file.read_bytes()) == REFUSED


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
        ("/proc/self/fd/9999/x", "cannot be written to"),
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
        assert file.with_suffix(".json").exists()
    for file in (tmp_path / "captured").glob("*/*.json"):
        assert json.loads(file.read_text())["verdict"] == "retake"


def _until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
