from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from plantood.training.photos import walk as walk_module
from plantood.training.photos.walk import (
    HIDDEN_FOLDER,
    LINKED_FOLDER,
    NO_FILE,
    NOWHERE,
    READ_ALREADY,
    walk_files,
)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def reasons(folder: Path, *, follow_links: bool = True) -> dict[str, str]:
    items = list(walk_files(folder, follow_links=follow_links))
    assert len({item.name for item in items}) == len(items)
    return {item.name: item.reason for item in items}


def test_every_photo_and_every_reason(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    touch(*(folder / name for name in ("a.jpg", "deep/er/b.HEIC", "c.dng", "d", "notes.txt")))
    touch(
        *(folder / name for name in ("._a.jpg", ".trash/e.jpg", "@eaDir/f.jpg", "s/@eaDir/g.jpg"))
    )
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "self.jpg").symlink_to("self.jpg")
    (folder / "linked.jpg").symlink_to(folder / "a.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket.jpg"))
    assert reasons(folder) == {
        "a.jpg": "",
        "deep/er/b.HEIC": "",
        "linked.jpg": "",
        "c.dng": "it ends in .dng, as no photo here does",
        "d": "its name has no ending",
        "._a.jpg": "a hidden file",
        ".trash": HIDDEN_FOLDER,
        "@eaDir": HIDDEN_FOLDER,
        "s/@eaDir": HIDDEN_FOLDER,
        "gone.jpg": NOWHERE,
        "self.jpg": NOWHERE,
        "pipe.jpg": NO_FILE,
        "socket.jpg": NO_FILE,
    }


def test_a_linked_folder_is_searched_once_or_named(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "a.jpg", tmp_path / "photos" / "z" / "b.jpg")
    (tmp_path / "photos" / "phone").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "photos" / "z")
    (tmp_path / "photos" / "z" / "up").symlink_to(tmp_path / "photos")
    assert reasons(tmp_path / "photos") == {
        "phone/a.jpg": "",
        "z/b.jpg": "",
        "again": READ_ALREADY,
        "z/up": READ_ALREADY,
    }
    assert reasons(tmp_path / "photos", follow_links=False) == {
        "z/b.jpg": "",
        **dict.fromkeys(("phone", "again", "z/up"), LINKED_FOLDER),
    }


def test_a_folder_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "mine" / "a.jpg", tmp_path / "theirs" / "b.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:  # root may read everything
        if path.endswith("theirs"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(walk_module.os, "scandir", refuse)
    assert reasons(tmp_path) == {
        "mine/a.jpg": "",
        "theirs": "a folder that cannot be read (Permission denied)",
    }
