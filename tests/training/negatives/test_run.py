"""The command as a user runs it: photos in, windows with their origin out, also after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from plantood.cli import main
from plantood.training.common.shared import shared_dir
from plantood.training.photos.data import find_data
from plantood.training.photos.division.splits import FRACTIONS, divide
from plantood.training.photos.scan import scan_photos
from tests.training.conftest import csv_rows
from tests.training.killed import kill_when
from tests.training.negatives.pictures import save, soil, with_leaves

PHOTOS = 14


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with plants, one broken, one grey, one twice, in two folders."""
    folder = tmp_path_factory.mktemp("field")
    for number in range(PHOTOS):
        rng = np.random.default_rng(number)
        left, top = rng.integers(0, 380), rng.integers(0, 300)
        photo = with_leaves(soil(seed=number), (left, top, left + 100, top + 80))
        exif = Image.Exif()
        exif[0x010F] = "Camera of a farmer"
        save(folder / "ab"[number % 2] / f"{number:02}.jpg", photo, quality=90, exif=exif)
    (folder / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    save(folder / "a" / "mask.png", np.zeros((300, 300, 3), np.uint8))
    (folder / "b" / "twice.jpg").write_bytes((folder / "a" / "00.jpg").read_bytes())
    return folder


def command(field: Path, out: Path) -> list[str]:
    return ["negatives", "soil", str(field), "--out", str(out), "--least-side", "120"]


def windows_in(out: Path) -> list[dict[str, str]]:
    return [row for row in csv_rows(out / "origins.csv") if row["label"] == "other"]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".jpg", ".csv")
    }


@pytest.fixture(scope="module")
def cut(field: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("negatives") / "soil"
    ran = CliRunner().invoke(main, command(field, out), catch_exceptions=False)
    assert ran.exit_code == 0
    return out, ran.stdout


def test_windows_are_written_with_their_origin(cut: tuple[Path, str], field: Path) -> None:
    out, output = cut
    found = windows_in(out)
    assert len(found) >= PHOTOS
    assert f"{len(found)} windows of soil from {PHOTOS + 2} photos" in output
    for row in found:
        origin = Path(row["origin"])
        assert hashlib.sha256(origin.read_bytes()).hexdigest() == row["group"]
        left, top, right, bottom = map(int, row["box"].split())
        with Image.open(out / row["path"]) as window, Image.open(origin) as photo:
            assert window.size == (right - left, bottom - top)
            assert right - left >= 120
            assert not window.getexif()
            difference = np.asarray(window, float) - np.asarray(
                photo.crop((left, top, right, bottom))
            )
            assert np.abs(difference).mean() < 3
    assert {Path(row["origin"]).parent.name for row in found} == {"a", "b"}


def test_the_photos_stand_beside_their_windows_as_plants(
    cut: tuple[Path, str], field: Path, tmp_path: Path
) -> None:
    """Else a gate would learn to refuse whatever comes from this camera."""
    plants = [row for row in csv_rows(cut[0] / "origins.csv") if row["label"] == "plant"]
    assert len(plants) == PHOTOS
    assert f"{PHOTOS} of the photos stand beside them, as plants" in cut[1]
    for row in plants:
        assert row["path"] == row["origin"]
        assert hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest() == row["group"]
    assert {row["group"] for row in plants} == {row["group"] for row in windows_in(cut[0])}
    out = tmp_path / "alone"
    ran = CliRunner().invoke(main, [*command(field, out), "--no-plants"], catch_exceptions=False)
    assert ran.exit_code == 0
    assert csv_rows(out / "origins.csv") == windows_in(out)


def test_a_photo_with_hardly_a_plant_is_no_photo_of_plants(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "bare.jpg", with_leaves(soil(), (10, 10, 40, 40)), quality=95)
    out = tmp_path / "soil"
    CliRunner().invoke(main, command(tmp_path / "photos", out), catch_exceptions=False)
    assert {row["label"] for row in csv_rows(out / "origins.csv")} == {"other"}


def test_where_nothing_was_cut_nothing_is_to_be_learned(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "grey.png", np.zeros((300, 300, 3), np.uint8))
    ran = CliRunner().invoke(main, command(tmp_path / "photos", tmp_path / "soil"))
    assert ran.exit_code == 0
    assert "There is nothing to learn from" in ran.stdout
    assert "finetune" not in ran.stdout


def test_what_was_not_cut_is_listed_with_the_reason(cut: tuple[Path, str]) -> None:
    reasons = {Path(row["origin"]).name: row["reason"] for row in csv_rows(cut[0] / "refused.csv")}
    assert "JPEG" in reasons["broken.jpg"]
    assert "no colour" in reasons["mask.png"]


def test_training_reads_it_and_never_parts_a_photo(cut: tuple[Path, str], tmp_path: Path) -> None:
    photos, bad = scan_photos(find_data(cut[0] / "origins.csv").photos, tmp_path)
    assert bad == []
    division = divide(photos)
    splits: dict[str, set[str | None]] = {}
    for photo in division.photos:
        splits.setdefault(photo.group or photo.sha256, set()).add(photo.split)
    assert all(len(found) == 1 for found in splits.values())
    assert len(set.union(*splits.values())) > 1
    assert set.union(*splits.values()) <= set(FRACTIONS)
    assert {photo.source for photo in photos} == {"field"}
    assert {photo.label for photo in photos} == {0, 1}


def test_again_cuts_nothing_and_keeps_what_was_removed_away(
    cut: tuple[Path, str], field: Path, tmp_path: Path
) -> None:
    out = tmp_path / "soil"
    CliRunner().invoke(main, command(field, out), catch_exceptions=False)
    before = windows_in(out)
    (out / before[0]["path"]).unlink()
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    ran = CliRunner().invoke(main, command(field, out), catch_exceptions=False)
    assert ran.exit_code == 0
    assert windows_in(out) == before[1:]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")} == stamps


def other_ways(where: Path) -> dict[str, tuple[list[str], Path]]:
    """What is given and where the windows go: each time the windows are among what is given."""
    return {
        "in the folder": ([str(where)], where / "soil"),
        "the folder itself": ([str(where)], where),
        "all that is in it": ([str(where / name) for name in ("a", "b", "soil")], where / "soil"),
        "every file": ([], where / "soil"),
        "its windows": ([str(where / name) for name in ("a", "b", "soil/other")], where / "soil"),
        "into another": ([str(where)], where.parent / "elsewhere"),
    }


@pytest.mark.parametrize("way", other_ways(Path()))
def test_windows_are_not_cut_again_where_they_lie_among_the_photos(
    way: str, field: Path, tmp_path: Path
) -> None:
    where = tmp_path / "field"
    for name in ("a", "b"):
        shutil.copytree(field / name, where / name)
    given, out = other_ways(where)[way]
    first = where / "soil" if way == "into another" else out
    (where / "soil" / "other").mkdir(parents=True)
    save(where / "soil" / "bare.jpg", with_leaves(soil(seed=99), (10, 10, 40, 40)), quality=95)
    small = ["--least-side", "120"]

    def run(out: Path) -> str:
        files = given or list(map(str, sorted(where.rglob("*.*g"))))
        ran = CliRunner().invoke(main, ["negatives", "soil", *files, "--out", str(out), *small])
        assert ran.exit_code == 0, ran.output
        return ran.output

    run(first)
    windows = windows_in(first)
    assert len(windows) > PHOTOS
    removed = first / windows[0]["path"]
    removed.unlink()
    for _ in range(2):
        told = run(out)
        assert windows_in(out) == (windows if out != first else windows[1:])
        assert "windows that were cut" in told
    assert not removed.exists()


def test_photos_of_its_own_where_windows_would_be_are_not_taken_for_windows(
    field: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(field / "a", data / "other" / "ground")
    before = sorted(data.rglob("*"))
    for photos in (field, data / "other" / "ground"):
        ran = CliRunner().invoke(main, command(photos, data))
        assert ran.exit_code == 1
        assert "has photos that were not cut here" in ran.output
        assert sorted(data.rglob("*")) == before


def test_what_an_earlier_plantood_cut_of_windows_is_no_negative(
    cut: tuple[Path, str], field: Path, tmp_path: Path
) -> None:
    out = tmp_path / "soil"
    shutil.copytree(cut[0], out)
    lines = (out / "cut.jsonl").read_text().splitlines()
    record = next(one for one in map(json.loads, lines) if one["windows"])
    window = record["windows"][0]["file"]
    record |= {"origin": str(out / "other" / "field" / window), "sha256": 64 * "0"}
    with (out / "cut.jsonl").open("a") as log:
        log.write(json.dumps(record) + "\n")
    CliRunner().invoke(main, command(field, out), catch_exceptions=False)
    assert csv_rows(out / "origins.csv") == csv_rows(cut[0] / "origins.csv")


def test_a_round_among_the_photos_is_passed_over_unless_it_is_given(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", with_leaves(soil(seed=1), (200, 150, 300, 230)), quality=90)
    photo = tmp_path / "round-1" / "photos" / "b.jpg"
    save(photo, with_leaves(soil(seed=2), (200, 150, 300, 230)), quality=90)
    (tmp_path / "round-1" / "round.json").touch()
    for given, name in ((tmp_path, "a.jpg"), (tmp_path / "round-1", "b.jpg")):
        out = tmp_path / f"{name}-soil"
        ran = CliRunner().invoke(main, command(given, out), catch_exceptions=False)
        assert {Path(row["origin"]).name for row in windows_in(out)} == {name}
        assert ("so a round" in ran.output) == (name == "a.jpg")


@pytest.mark.parametrize("stem", ["\u571f" * 80, "a" * 251, "e\u0301" * 80])
def test_photos_with_long_names_are_cut_as_others_are(stem: str, tmp_path: Path) -> None:
    """Names of up to 255 bytes: those of windows are longer than that of their photo."""
    field, out = tmp_path / "field", tmp_path / "soil"
    save(field / f"{stem}.jpg", with_leaves(soil(seed=3), (200, 150, 300, 230)), quality=90)
    save(field / "short.jpg", with_leaves(soil(seed=4), (200, 150, 300, 230)), quality=90)
    CliRunner().invoke(main, command(field, out), catch_exceptions=False)
    found = windows_in(out)
    assert {Path(row["origin"]).stem for row in found} == {stem, "short"}
    for row in found:
        assert (out / row["path"]).is_file()
        begin = Path(row["path"]).name.partition("-")[0]
        assert len(begin) > 2
        assert Path(row["origin"]).stem.startswith(begin)


def test_killed_it_goes_on_to_the_same_result(
    cut: tuple[Path, str], field: Path, tmp_path: Path
) -> None:
    out = tmp_path / "soil"
    arguments = [sys.executable, "-m", "plantood", *command(field, out)]
    log = out / "cut.jsonl"
    for lines in (2, 6):
        kill_when(
            lambda lines=lines: log.exists() and log.read_bytes().count(b"\n") >= lines, arguments
        )
    subprocess.run(arguments, check=True, capture_output=True, timeout=300)
    assert contents(out) == contents(cut[0])


def test_other_choices_need_another_folder(cut: tuple[Path, str], field: Path) -> None:
    ran = CliRunner().invoke(main, [*command(field, cut[0]), "--at-most", "2"])
    assert ran.exit_code == 1
    assert "at_most was 6, is 2" in ran.output


@pytest.mark.parametrize("photos", ["nothing/here", "."])
def test_no_photo_is_told(photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, ["negatives", "soil", photos, "--out", "soil"])
    assert ran.exit_code == 1
    assert photos in ran.output
    assert not Path("soil").exists()


@pytest.mark.skipif(shared_dir() is None, reason="the field photos are not on this machine")
def test_on_field_photos_the_windows_hold_no_plant(tmp_path: Path) -> None:
    shared = shared_dir()
    assert shared is not None
    photos = sorted((shared / "data" / "field").glob("*_image.jpg"))[::5]
    arguments = ["negatives", "soil", *map(str, photos), "--out", str(tmp_path / "soil")]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    found = windows_in(tmp_path / "soil")
    assert len(found) >= 10
    for row in found:
        mask = Path(row["origin"].replace("_image.jpg", "_mask.png"))
        left, top, right, bottom = map(int, row["box"].split())
        with Image.open(mask) as opened:
            plant = np.asarray(opened.convert("L").crop((left, top, right, bottom))) == 0
        assert plant.mean() < 0.001


def test_what_is_left_out_is_told_and_names_that_are_no_text_survive(tmp_path: Path) -> None:
    old = os.fsdecode(b"champ-\xe9t\xe9")
    folder, out = tmp_path / old, tmp_path / "soil"
    photo = with_leaves(soil(seed=3), (200, 150, 300, 230))
    save(folder / f"{old}.jpg", photo, quality=90)
    (folder / "raw.dng").touch()
    os.mkfifo(folder / "pipe.jpg")
    (folder / "linked").symlink_to(folder)
    (folder / ".thumbnails").mkdir()
    for _ in range(2):
        ran = CliRunner().invoke(main, command(folder, out))
        assert ran.exit_code == 0, ran.output
        assert "5 found, 1 used, 4 left out" in ran.output
        for why in ("ends in .dng", "pipe, socket", "read already", "a hidden folder"):
            assert why in ran.output
    photos = find_data(out / "origins.csv").photos
    assert len(photos) > 1
    assert all(one.path.is_file() for one in photos)
    assert folder / f"{old}.jpg" in {one.path for one in photos}
