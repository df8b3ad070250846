from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from plantood.errors import TrainingDataError
from plantood.training.photos.data import find_data
from tests.training.review.rounds import make_round


def test_folder_with_sources(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder(2)
    (folder / "plant" / "notes.txt").write_text("not a photo")
    photos = find_data(folder).photos
    assert len(photos) == 8
    assert {(p.label, p.source) for p in photos} == {
        (1, "farm"),
        (1, "garden"),
        (0, "street"),
        (0, "room"),
    }
    assert {p.split for p in photos} == {None}


def test_photos_directly_in_a_class_have_the_class_as_source(tmp_path: Path) -> None:
    for path in ("plant/a.jpg", "plant/deep/er/b.jpg", "other/c.JPG"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert {p.path.name: p.source for p in find_data(tmp_path).photos} == {
        "a.jpg": "plant",
        "b.jpg": "deep",
        "c.JPG": "other",
    }


def test_folder_without_other_says_so(tmp_path: Path) -> None:
    (tmp_path / "plant").mkdir()
    with pytest.raises(TrainingDataError, match=r"no folder other/ .*one of the two may be empty"):
        find_data(tmp_path)


def test_a_round_is_told_from_a_folder_of_photos(tmp_path: Path) -> None:
    folder = make_round(tmp_path / "round-1", 1).path
    with pytest.raises(TrainingDataError, match=r"is a round; give .*round-1/labels\.csv"):
        find_data(folder)


def test_manifest(manifest: Callable[..., Path]) -> None:
    file = manifest(
        [
            {"path": "a.jpg", "label": "plant", "split": "train", "source": "farm"},
            {"path": "b.jpg", "label": "Other", "split": "validation"},
            {"path": "c.jpg", "label": ""},
        ]
    )
    photos = find_data(file).photos
    assert [(p.path.name, p.label, p.split, p.source) for p in photos] == [
        ("a.jpg", 1, "train", "farm"),
        ("b.jpg", 0, "val", "other"),
    ]
    assert photos[0].path == file.parent / "a.jpg"


def test_a_manifest_may_say_what_a_photo_was_cut_from(manifest: Callable[..., Path]) -> None:
    rows = [{"path": "a.jpg", "label": "other", "group": " f00d "}]
    rows += [{"path": "b.jpg", "label": "other", "group": ""}]
    photos = find_data(manifest(rows, columns="path,label,group")).photos
    assert [photo.group for photo in photos] == ["f00d", ""]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_source_is_the_same_with_its_accents_composed_or_apart(form: str, tmp_path: Path) -> None:
    """A copy from a Mac has them apart, what is typed has them composed."""
    name = unicodedata.normalize(form, "café")
    for path in (f"plant/{name}/a.jpg", f"other/{name}/b.jpg"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"path,label,source,group\na.jpg,plant,{name},{name}\n", encoding="utf-8")
    found = [*find_data(tmp_path).photos, *find_data(manifest).photos]
    assert [photo.source for photo in found] == 3 * [unicodedata.normalize("NFC", name)]
    assert found[-1].group == unicodedata.normalize("NFC", name)
    assert all(photo.path.parent.name in (name, tmp_path.name) for photo in found)


def test_manifest_with_two_columns(manifest: Callable[..., Path]) -> None:
    file = manifest([{"path": "a.jpg", "label": "plant"}], columns="path,label")
    assert [(p.split, p.source) for p in find_data(file).photos] == [(None, "plant")]


def test_manifest_saved_by_a_spreadsheet_has_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(b"\xef\xbb\xbfpath,label\r\na.jpg,plant\r\n")
    assert len(find_data(file).photos) == 1


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("b.jpg,weed,", "Line 3 of .*'weed'"),
        (",plant,", "Line 3 of .*path is empty"),
        ("b.jpg,plant,holdout", "Line 3 of .*'holdout'"),
    ],
)
def test_errors_name_the_row(tmp_path: Path, row: str, told: str) -> None:
    file = tmp_path / "m.csv"
    file.write_text(f"path,label,split\na.jpg,plant,\n{row}\n")
    with pytest.raises(TrainingDataError, match=told):
        find_data(file)


def test_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("file,label\na.jpg,plant\n")
    with pytest.raises(TrainingDataError, match="lacks the column path"):
        find_data(file)


def test_a_photo_is_no_manifest(photo_folder: Callable[..., Path]) -> None:
    with pytest.raises(TrainingDataError, match="not a CSV file"):
        find_data(photo_folder(1) / "plant" / "farm" / "0.jpg")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="No folder and no manifest"):
        find_data(tmp_path / "absent")
