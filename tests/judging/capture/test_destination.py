from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from plantood.errors import SettingsError
from plantood.judging.capture.queue import Capture
from plantood.settings import Settings
from plantood.verdict import Verdict
from tests.judging.capture.kept import REFUSED, count, keep_all, names, until
from tests.photos import encode, scene
from tests.training.rounds.disk import fill, small_disk


def test_several_processes_share_the_cap(tmp_path: Path, photos: list[bytes]) -> None:
    context = multiprocessing.get_context("forkserver")
    start = context.Event()
    work = [photos[0:8], photos[2:10], photos[4:12]]
    processes = [
        context.Process(target=keep_all, args=(str(tmp_path / "captured"), piece, start))
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


@pytest.mark.parametrize("room", [0, 8192])  # not even for the verdict; for it, but not the photo
def test_a_full_disk_uses_up_no_number(
    keep: Callable[..., Capture], tmp_path: Path, room: int
) -> None:
    large = [encode(scene(900, 700, seed)) for seed in range(4)]
    assert min(map(len, large)) > 2 * 8192
    with small_disk(tmp_path / "disk", "1m") as disk:
        kept = keep(disk / "captured", per_day=4)
        kept.offer(large[0], REFUSED)
        until(lambda: len(names(disk / "captured")) == 2)
        (day,) = (disk / "captured").iterdir()
        filler = fill(disk)
        os.truncate(filler, filler.stat().st_size - room)
        before = count("failed")
        for photo in large * 3:
            kept.offer(photo, REFUSED)
        until(lambda: count("failed") == before + 9)  # the first one is kept already
        assert [file.name for file in sorted(day.iterdir())] == ["00001.jpg", "00001.json"]
        filler.unlink()
        for photo in large:
            kept.offer(photo, REFUSED)
        kept.close()
        expected = [f"0000{n}.{end}" for n in range(1, 5) for end in ("jpg", "json")]
        assert [file.name for file in sorted(day.iterdir())] == expected
        for file in day.glob("*.json"):
            assert Verdict.model_validate_json(file.read_bytes()) == REFUSED


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
        until(lambda: count("failed") == before + 4)
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
    until(lambda: count("failed") == before + 1)
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


def test_a_killed_process_leaves_whole_photos_only(tmp_path: Path, photos: list[bytes]) -> None:
    context = multiprocessing.get_context("forkserver")
    start = context.Event()
    start.set()
    process = context.Process(target=keep_all, args=(str(tmp_path / "captured"), photos, start))
    process.start()
    until(lambda: len(names(tmp_path / "captured")) > 3)
    process.kill()
    process.join()
    for file in (tmp_path / "captured").glob("*/*.jpg"):
        with Image.open(file) as image:
            image.load()
        assert file.with_suffix(".json").exists()
    for file in (tmp_path / "captured").glob("*/*.json"):
        assert json.loads(file.read_text())["verdict"] == "retake"
