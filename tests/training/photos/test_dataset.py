from __future__ import annotations

import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from plantood.errors import SettingsError, TrainingDataError
from plantood.training.common.settings import DataSettings
from plantood.training.photos import scan as scan_module
from plantood.training.photos.account import at_most_per_source
from plantood.training.photos.data import find_data
from plantood.training.photos.dataset import load_dataset, write_bad
from plantood.training.photos.division.splits import divide
from plantood.training.photos.scan import INDEX, scan_photos
from tests.training.conftest import make_photo, write_photo

FEW = DataSettings(min_per_class=2)


def test_folder_to_splits(photo_folder: Callable[..., Path], tmp_path: Path) -> None:
    dataset = load_dataset(photo_folder(20), FEW, tmp_path / "cache")
    assert len(dataset.photos) == 80
    assert len(dataset.train) > len(dataset.val) > 0
    assert dataset.sources == ["farm", "garden", "room", "street"]
    assert dataset.bad == ()
    assert sum(row["train"] for row in dataset.counts()) == len(dataset.train)


def test_names_and_order_do_not_decide_the_split(
    photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = photo_folder(10)
    before = load_dataset(folder, FEW, tmp_path / "cache")
    for path in sorted(folder.rglob("*.jpg")):
        path.rename(path.with_name(f"z{9 - int(path.stem)}-{path.stem}.jpg"))
    after = load_dataset(folder, FEW, tmp_path / "cache")
    assert after.fingerprint() == before.fingerprint()
    assert {p.sha256: p.split for p in after.photos} == {p.sha256: p.split for p in before.photos}


def test_bad_files_are_listed_and_skipped(manifest: Callable[..., Path], tmp_path: Path) -> None:
    rows = [
        {"path": f"{name}{i}.jpg", "label": name, "split": split}
        for name in ("plant", "other")
        for i, split in enumerate(["train", "train", "train", "val"])
    ]
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "empty.jpg").touch()
    rows += [{"path": p, "label": "plant"} for p in ("text.jpg", "empty.jpg", "missing/gone.jpg")]
    file = manifest(rows, columns="path,label,split")
    (tmp_path / "missing" / "gone.jpg").unlink()
    shutil.copy(tmp_path / "plant0.jpg", tmp_path / "zz_copy.jpg")
    shutil.copy(tmp_path / "plant1.jpg", tmp_path / "zz_disputed.jpg")
    with file.open("a") as out:
        out.write("zz_copy.jpg,plant,\nzz_disputed.jpg,other,\n")
    dataset = load_dataset(file, FEW, tmp_path / "cache")
    reasons = {bad.path.name: bad.reason for bad in dataset.bad}
    assert set(reasons) == {
        "text.jpg",
        "empty.jpg",
        "gone.jpg",
        "zz_copy.jpg",
        "zz_disputed.jpg",
        "plant1.jpg",
    }
    assert "no such file" in reasons["gone.jpg"]
    assert "same bytes as" in reasons["zz_copy.jpg"]
    assert "both plant and other" in reasons["plant1.jpg"]
    assert len(dataset.photos) == 7
    write_bad(dataset.bad, tmp_path / "bad.csv")
    assert len((tmp_path / "bad.csv").read_text().splitlines()) == 7


def test_a_source_is_left_out_in_whatever_form_its_accents_are(
    photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """Of one folder the name is composed, of the other its accent is apart: one source."""
    folder = photo_folder(40)
    (folder / "plant" / "farm").rename(folder / "plant" / unicodedata.normalize("NFD", "café"))
    (folder / "other" / "room").rename(folder / "other" / unicodedata.normalize("NFC", "café"))
    cafe = unicodedata.normalize("NFC", "café")
    chosen = replace(FEW, leave_out=(cafe,))
    dataset = load_dataset(folder, chosen, tmp_path / "cache")
    assert dataset.sources == sorted([cafe, "garden", "street"])
    assert Counter(photo.label for photo in dataset.left_out) == {0: 40, 1: 40}


def test_the_same_bytes_in_two_splits_are_learned_from_and_judge_nothing(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [
        {"path": f"{name}{i}.jpg", "label": name, "split": split}
        for name in ("plant", "other")
        for i, split in enumerate(["train", "train", "val", "test", "", "train"])
    ]
    file = manifest(rows, columns="path,label,split")
    shutil.copy(tmp_path / "plant3.jpg", tmp_path / "zz.jpg")
    with file.open("a") as out:
        out.write("zz.jpg,plant,train\nplant4.jpg,plant,test\nplant5.jpg,plant,test\n")
    dataset = load_dataset(file, FEW, tmp_path / "cache")
    split = {photo.path.name: photo.split for photo in dataset.photos}
    assert [split[f"plant{number}.jpg"] for number in (3, 4, 5)] == ["train", "test", "train"]
    reasons = {bad.path.name: (bad.reason, bad.kind) for bad in dataset.bad}
    for name, here, there in (("zz.jpg", "train", "test"), ("plant5.jpg", "test", "train")):
        reason, kind = reasons[name]
        assert reason.endswith(f"in {here} here and in {there} there: it is in train")
        assert kind.startswith("same bytes as another of another split; it is in the first")
    assert reasons["plant4.jpg"][1] == "same bytes as another"


@pytest.mark.parametrize("names", [("", "7"), ("7", ""), ("7", "8"), ("8", "7"), ("7", "7")])
def test_a_photo_is_in_all_groups_of_its_copies(
    names: tuple[str, str], manifest: Callable[..., Path], tmp_path: Path
) -> None:
    """Whichever copy stays; and so photos are grouped that share no name."""
    rows = [{"path": "a0.jpg", "label": "plant", "group": names[0]}]
    rows += [{"path": f"{n}{i}.jpg", "label": "plant", "group": n} for n in "78" for i in range(4)]
    file = manifest(rows, columns="path,label,group")
    shutil.copy(tmp_path / "a0.jpg", tmp_path / "b0.jpg")
    with file.open("a") as out:
        out.write(f"b0.jpg,plant,{names[1]}\n")
    photos, (copy,) = scan_photos(find_data(file).photos, tmp_path / "cache")
    assert copy.path.name == "b0.jpg"
    (stays,) = (photo for photo in photos if photo.path.name == "a0.jpg")
    assert stays.groups == tuple(dict.fromkeys(filter(None, names)))
    assert stays.group in names
    division = divide(photos)
    scene = {p.path.name: g for p, g in zip(division.photos, division.groups, strict=True)}
    for name in set(filter(None, names)):
        assert scene["a0.jpg"] == scene[f"{name}0.jpg"] == scene[f"{name}3.jpg"]
    assert len(set(scene.values())) == (1 if {*names} == {"7", "8"} else 2)
    splits = {p.path.name: p.split for p in division.photos}
    assert all(splits[f"{n}0.jpg"] == splits["a0.jpg"] for n in names if n)


def test_an_unreadable_folder_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    assert "directory" in scan_module.scan_file(tmp_path / "folder.jpg").error


def test_only_new_files_are_opened(
    photo_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = photo_folder(3), tmp_path / "cache"
    first, _ = scan_photos(find_data(folder).photos, cache)
    with (cache / INDEX).open("r+b") as index:  # as a kill may leave it
        index.truncate((cache / INDEX).stat().st_size - 20)
    write_photo(folder / "plant" / "farm" / "new.jpg", 1, 99)
    opened = []

    def counting(path: Path) -> scan_module.Scanned:
        opened.append(path.name)
        return real(path)

    real = scan_module.scan_file
    monkeypatch.setattr(scan_module, "scan_file", counting)
    second, bad = scan_photos(find_data(folder).photos, cache)
    assert bad == []
    assert len(opened) == 2  # the new photo, and the one whose line was cut off
    assert "new.jpg" in opened
    assert set(first) < set(second)


def test_a_file_that_changed_is_read_again(
    photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = photo_folder(2)
    before, _ = scan_photos(find_data(folder).photos, tmp_path / "cache")
    path = write_photo(folder / "plant" / "farm" / "0.jpg", 1, 77)
    os.utime(path, ns=(1, 1))
    after, _ = scan_photos(find_data(folder).photos, tmp_path / "cache")
    assert len({p.sha256 for p in before} ^ {p.sha256 for p in after}) == 2


def test_too_few_photos_say_so(photo_folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"Only \d+ usable photos of class .* at least 40"):
        load_dataset(photo_folder(10), DataSettings(min_per_class=40), tmp_path / "cache")


def test_no_validation_photo_of_a_class_says_so(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [{"path": f"p{i}.jpg", "label": "plant", "split": "train"} for i in range(4)]
    rows += [{"path": f"v{i}.jpg", "label": "plant", "split": "val"} for i in range(2)]
    rows += [{"path": f"o{i}.jpg", "label": "other", "split": "train"} for i in range(4)]
    with pytest.raises(TrainingDataError, match="Only 0 usable photos of class other in split val"):
        load_dataset(manifest(rows), FEW, tmp_path / "cache")


def test_leaving_out(photo_folder: Callable[..., Path], tmp_path: Path) -> None:
    dataset = load_dataset(photo_folder(10), FEW, tmp_path / "cache")
    rest = dataset.leaving_out(["farm"])
    assert {p.source for p in rest.left_out} == {"farm"}
    assert len(rest.left_out) == 10
    assert "farm" not in {p.source for p in (*rest.train, *rest.val, *rest.test)}
    assert len(rest.photos) == len(dataset.photos)
    with pytest.raises(TrainingDataError, match="No source is called farn; there are: farm"):
        dataset.leaving_out(["farn"])


def test_what_belongs_together_is_left_out_together(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [
        {"path": f"{source}{n}.jpg", "label": label, "source": source, "split": split}
        for source, label in (
            ("farm", "plant"),
            ("garden", "plant"),
            ("street", "other"),
            ("room", "other"),
        )
        for n, split in enumerate(("train", "train", "val", "test"))
    ]
    data = manifest(rows)
    unit = frozenset({"farm", "street"})
    settings = replace(FEW, leave_out=("farm",), together=(unit,))
    rest = load_dataset(data, settings, tmp_path / "cache")
    assert {photo.source for photo in rest.left_out} == unit == {*settings.left_out}
    assert {photo.source for photo in rest.train} == {"garden", "room"}
    assert replace(settings, leave_out=("room",)).left_out == ("room",)
    with pytest.raises(SettingsError, match="no source is called farn; there are: farm"):
        load_dataset(data, replace(FEW, together=(frozenset({"farm", "farn"}),)), tmp_path)


def test_what_shows_the_same_as_a_photo_left_out_is_neither_learned_nor_judged(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [
        {"path": f"{source}{n}.jpg", "label": label, "source": source, "split": split, "group": ""}
        for source, label in (("farm", "plant"), ("garden", "plant"), ("room", "other"))
        for n, split in enumerate(("train", "train", "val", "test"))
    ]
    for row in rows:
        if row["path"] in ("farm0.jpg", "garden1.jpg"):
            row["group"] = "bed 7"
    data = manifest(rows, "path,label,split,source,group")
    shutil.copy(data.parent / "farm1.jpg", data.parent / "garden2.jpg")  # the very same photo
    Image.open(data.parent / "farm2.jpg").save(data.parent / "garden3.jpg", quality=60)
    rest = load_dataset(data, FEW, tmp_path / "cache").leaving_out(["farm"])
    judged = {photo.path.name for photo in (*rest.train, *rest.val, *rest.test)}
    assert judged == {"garden0.jpg", "room0.jpg", "room1.jpg", "room2.jpg", "room3.jpg"}
    assert {photo.path.name for photo in rest.aside} == {"garden1.jpg", "garden3.jpg"}
    assert {photo.source for photo in rest.left_out} == {"farm"}
    assert len(rest.photos) == 11  # a copy counts once


def test_what_shows_the_same_as_a_training_photo_judges_nothing(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    """Whatever the manifest says; its training photos stay what they are."""
    rows = [
        {"path": f"{label}{n}.jpg", "label": label, "split": split, "group": ""}
        for label in ("plant", "other")
        for n, split in enumerate(("train", "train", "val", "val", "test", "test", "test"))
    ]
    for row in rows:
        if row["path"] in ("plant2.jpg", "plant4.jpg"):
            row["group"] = "bed 7"
    data = manifest(rows, "path,label,split,group")
    Image.open(data.parent / "other0.jpg").save(data.parent / "other2.jpg", quality=60)
    Image.open(data.parent / "other1.jpg").save(data.parent / "other6.jpg", quality=60)
    dataset = load_dataset(data, FEW, tmp_path / "cache")
    assert {one.path.name for one in dataset.crossed} == {"plant4.jpg", "other2.jpg", "other6.jpg"}
    splits = [len(photos) for photos in dataset.splits().values()]
    assert splits == [4, 3, 4]
    assert len(dataset.photos) == 14
    assert len(dataset.crossings) == 3
    same = Image.open(data.parent / "other0.jpg")
    same.save(data.parent / "other3.jpg", quality=70)
    with pytest.raises(TrainingDataError, match="4 show what a photo of train or val shows"):
        load_dataset(data, FEW, tmp_path / "cache")


def test_at_most_per_source_is_stable() -> None:
    photos = [make_photo(f"{i:064x}", i % 2, source=f"s{i % 4}") for i in range(40)]
    few = at_most_per_source(photos, 3)
    assert Counter(p.source for p in few) == {f"s{i}": 3 for i in range(4)}
    assert at_most_per_source(photos[::-1], 3) == few
