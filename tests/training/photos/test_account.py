from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.errors import TrainingDataError
from plantood.training.common.settings import DataSettings
from plantood.training.photos.account import Account, read_usable
from plantood.training.photos.data import find_data
from plantood.training.photos.dataset import load_dataset
from plantood.training.train.evaluate import photos_by_split
from tests.training.beside import in_time
from tests.training.conftest import write_photo


@pytest.fixture
def mixed(photo_folder: Callable[..., Path], tmp_path: Path) -> Path:
    """What folders of photos look like: links, pipes, raw files, and folders beside the two."""
    folder = photo_folder(3)
    write_photo(tmp_path / "data/phoneA/1.jpg", 1, 500)
    (folder / "plant/phoneA").symlink_to(tmp_path / "data/phoneA")
    (folder / "plant/farm/gone.jpg").symlink_to("nowhere")
    (folder / "plant/farm/raw.dng").write_bytes(b"raw")
    (folder / "plant/farm/IMG_0001").write_bytes(b"no ending")
    (folder / "plant/.thumbnails").mkdir()
    write_photo(folder / "plant/.thumbnails/1.jpg", 1, 600)
    (folder / "plant/garden/broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    os.mkfifo(folder / "other/room/pipe.jpg")
    write_photo(folder / "maize/1.jpg", 1, 700)
    write_photo(folder / "Plant/2.jpg", 1, 800)
    write_photo(folder / "root.jpg", 1, 900)
    return folder


def test_every_photo_that_is_left_out_has_a_reason(mixed: Path, tmp_path: Path) -> None:
    found = find_data(mixed)
    assert {photo.source for photo in found.photos if photo.label} == {"farm", "garden", "phoneA"}
    assert {
        str(one.path.relative_to(mixed)): (one.label, one.source, one.reason)
        for one in found.left_out
    } == {
        "plant/farm/gone.jpg": ("plant", "farm", "a link that leads nowhere"),
        "plant/farm/raw.dng": ("plant", "farm", "it ends in .dng, as no photo here does"),
        "plant/farm/IMG_0001": ("plant", "farm", "its name has no ending"),
        "plant/.thumbnails": ("plant", "plant", "a hidden folder"),
        "other/room/pipe.jpg": ("other", "room", "a pipe, socket or device"),
        "maize/1.jpg": ("", "", "it lies in maize/, which is neither plant/ nor other/"),
        "Plant/2.jpg": ("", "", "it lies in Plant/, which is neither plant/ nor other/"),
        "root.jpg": ("", "", "it lies beside plant/ and other/, so nobody says what it shows"),
    }


def test_the_account_stands_before_training_also_if_that_fails(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrainingDataError, match=r"Only .* at least 20 are needed \(9 files"):
        load_dataset(mixed, DataSettings(), tmp_path / "cache")
    told = " ".join(capsys.readouterr().err.split())
    assert f"{mixed}: 22 found, 13 used, 9 left out" in told
    for row in ("plant farm 6 3 3", "plant garden 4 3 1", "plant phoneA 1 1 0", "other room 4 3 1"):
        assert row in told
    assert "- - 3 0 3" in told
    assert f"1 left out: it ends in .dng, as no photo here does; for example {mixed}/plant/" in told
    assert "1 left out: it lies in maize/" in told
    assert "1 left out: the JPEG" in told


def test_rows_without_label_are_counted_and_are_no_bad_files(
    manifest: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"path": "a.jpg", "label": "plant"}, {"path": "b.jpg", "source": "pool"}]
    photos, bad = read_usable(manifest(rows), tmp_path / "cache")
    assert (len(photos), bad) == (1, [])
    told = " ".join(capsys.readouterr().err.split())
    assert "2 found, 1 used, 1 left out" in told
    assert f"1 left out: no label in the manifest; for example {tmp_path / 'b.jpg'}" in told


def test_of_each_source_that_is_cut_short_it_is_said(
    photo_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, bad = read_usable(photo_folder(5), tmp_path / "cache", at_most=2)
    assert (len(photos), bad) == (8, [])
    told = " ".join(capsys.readouterr().err.split())
    assert "20 found, 8 used, 12 left out" in told
    assert "12 left out: more of its source than --at-most-per-source takes" in told


def test_a_pipe_in_a_manifest_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "m.csv").write_text("path,label\npipe.jpg,plant\n")
    error = in_time(read_usable, tmp_path / "m.csv", tmp_path / "cache")
    assert isinstance(error, TrainingDataError)
    for words in ("No usable photo", "pipe, socket or device", "pipe.jpg"):
        assert words in str(error)


def test_a_folder_of_nothing_usable_says_why_at_once(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "photos/plant").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"photos/plant/{number}.dng").touch()
    (tmp_path / "photos/other").mkdir()
    ran = CliRunner().invoke(main, ["train", str(tmp_path / "photos")])
    assert ran.exit_code == 1
    assert "3 found, 0 used, 3 left out" in ran.stderr
    last = ran.stderr.splitlines()[-1]
    assert last.startswith(f"Error: No labelled photo in {tmp_path / 'photos'} (3 left out: ")
    assert ".dng" in last


def test_reasons_that_differ_in_numbers_are_one(capsys: pytest.CaptureFixture[str]) -> None:
    account = Account("photos/")
    for number in range(50):
        account.leave_out(f"{number} x {number} pixels are too few", f"{number}.jpg")
        account.leave_out(f"it ends in .{'x' * number}y", f"{number}.xy", cell=("plant", "a"))
        account.used["plant", f"source {number}"] += 1
    assert account.commonest() == (" (50 left out: 0 x 0 pixels are too few; for example 0.jpg)")
    account.show()
    told = capsys.readouterr().err
    assert "150 found, 50 used, 100 left out" in told
    assert "12 more" in told
    assert "and 11 more reasons" in told


def test_an_evaluation_of_nothing_says_why(manifest: Callable[..., Path], tmp_path: Path) -> None:
    rows = [{"path": "a.jpg", "label": "plant", "split": "train"}]
    file = manifest(rows)
    with file.open("a") as opened:
        opened.write("gone.jpg,other,test,\n")
    with pytest.raises(TrainingDataError, match=r"in the split test .*gone\.jpg.*splits train"):
        photos_by_split(file, tmp_path / "cache", "test")


def test_a_manifest_of_photos_that_are_elsewhere_names_one(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label\nC:\\photos\\a.jpg,plant\nb.jpg,other\n")
    with pytest.raises(TrainingDataError) as error:
        read_usable(tmp_path / "m.csv", tmp_path / "cache")
    assert "(2 left out: there is no such file; for example" in str(error.value)
    assert str(tmp_path) in str(error.value)
