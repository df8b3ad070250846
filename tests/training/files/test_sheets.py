"""Tables of a user, read in the same way by all commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plantood.errors import PlantoodError, SourceError, TrainingDataError
from plantood.training.common.settings import DataSettings
from plantood.training.mining.labelled import read_labelled
from plantood.training.mining.sources import entries
from plantood.training.photos.data import find_data
from plantood.training.photos.dataset import load_dataset
from plantood.training.review.exchange.finder import PhotoFinder
from plantood.training.review.exchange.found import Choices
from plantood.training.review.exchange.sheet import read_sheet
from tests.training.conftest import write_photo
from tests.training.review.rounds import numbered_log

ROWS = [("path", "label", "reviewer"), ("0.jpg", "plant", "ann"), ("1.jpg", "other", "ann")]


def joined(delimiter: str, rows: list[tuple[str, ...]] = ROWS) -> str:
    return "".join(delimiter.join(row) + "\r\n" for row in rows)


TABLES = {
    "commas": joined(",").encode(),
    "semicolons": joined(";").encode(),
    "tabs": joined("\t").encode(),
    "bars": joined("|").encode(),
    "capitals": joined(",", [("Path", " LABEL ", "Reviewer"), *ROWS[1:]]).encode(),
    "a mark": joined(",").encode("utf-8-sig"),
    "Unicode text of a spreadsheet": joined("\t").encode("utf-16"),
    "big endian": b"\xfe\xff" + joined(";").encode("utf-16-be"),
    "no mark": joined(",").encode("utf-16-le"),
    "an empty line": joined(",").replace("\r\n", "\r\n\r\n").encode(),
    "quotes": joined(",", [tuple(f'"{cell}"' for cell in row) for row in ROWS]).encode(),
}
READERS: dict[str, Callable[[Path], list[str]]] = {
    "train": lambda file: [photo.path.name for photo in find_data(file).photos],
    "mine": lambda file: [Path(entry.path).name for entry in entries(str(file))],
    "labelled": lambda file: sorted(Path(path).name for path in read_labelled([str(file)]).paths),
    "labels import": lambda file: [
        f"{label.photo[0]}.jpg"
        for label in read_sheet(
            file, PhotoFinder(numbered_log(file.parent / "round", [0.1, 0.2]).photos), Choices()
        )
    ],
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_read_by_every_command(tmp_path: Path, table: str, reader: str) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(TABLES[table])
    for name in ("0.jpg", "1.jpg"):
        (tmp_path / name).touch()
    assert READERS[reader](file) == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "photo;class\na.jpg;plant\n",
            r"lacks .* \(it has: photo, class\), split at semicolons",
        ),
        ("photo\n", r"lacks .* \(it has: photo\)"),
        ("", r"lacks .* \(it has: none\)"),
        ("path,Path,label\na,b,plant\n", "it has the column path twice"),
        ("pa\0th,label\n", "is not a CSV file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "is not a CSV file"),
        (b"\xff\xfepat", "is not a CSV file"),
        (f"path,label\n{'x' * 200_000},plant\n", "is not a CSV file .*field limit"),
    ],
)
def test_what_is_wrong_names_what_was_found(
    tmp_path: Path, content: str | bytes, message: str, reader: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PlantoodError, match=message) as error:
        READERS[reader](file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('0.jpg,plant,"5 cm\n1.jpg,other,ann\n', "Line 3 of .* quotation mark too many or too few"),
        ('0.jpg,plant,"5 cm\n1.jpg,other,"ann"\n', "Line 3 of .* quotation mark"),
        ('0.jpg,plant,"5" pot\n1.jpg,other,ann\n', "Line 3 of .* quotation mark"),
        ('0.jpg,plant,"5 cm\n' + "1.jpg,other,ann\n" * 9000, "Line 3 of .* quotation mark"),
        ("0.jpg,plant,ann,late\n", "Line 3 of .* 4 cells for the 3 columns .* split at commas"),
        ("a, b.jpg,plant,ann\n", "Line 3 of .* 4 cells .* into quotation marks"),
    ],
)
def test_no_row_is_lost_without_a_word(
    tmp_path: Path, rows: str, message: str, reader: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(f"path,label,reviewer\n1.jpg,other,ann\n{rows}")
    for name in ("0.jpg", "1.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(PlantoodError, match=message):
        READERS[reader](file)


@pytest.mark.parametrize("reader", READERS)
def test_a_cell_may_hold_lines_and_a_row_end_in_empty_cells(tmp_path: Path, reader: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(
        'path,label,reviewer,"what\nwas seen"\n0.jpg,plant,ann,"a ""5 cm"" leaf,\nand soil",,\n'
        '\n1.jpg,other,ann,5" pot\n'
    )
    for name in ("0.jpg", "1.jpg"):
        (tmp_path / name).touch()
    assert READERS[reader](file) == ["0.jpg", "1.jpg"]
    file.write_text(file.read_text() + '0.jpg,plant,ann,"\n')
    with pytest.raises(PlantoodError, match="Line 7 of"):
        READERS[reader](file)


@pytest.mark.parametrize("start", [b"path,label\n", b""])
@pytest.mark.parametrize("kind", ["csv", "txt"])
def test_a_file_without_lines_is_not_read_to_its_end(
    tmp_path: Path, kind: str, start: bytes
) -> None:
    with (listed := tmp_path / f"film.{kind}").open("wb") as film:
        film.write(start + b"a" * (3 << 20))
        film.truncate(1 << 40)
    with pytest.raises(SourceError, match="more than 1,048,576 characters"):
        list(entries(str(listed)))


def test_a_text_list_in_utf_16_and_with_an_old_name(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes("a.jpg\r\nb.jpg\r\n".encode("utf-16"))
    assert [entry.name for entry in entries(str(file))] == ["a.jpg", "b.jpg"]
    file.write_bytes(b"caf\xe9.jpg\n")
    Path(tmp_path, os.fsdecode(b"caf\xe9.jpg")).touch()
    assert [entry.name for entry in entries(str(file))] == [r"caf\udce9.jpg"]


def test_a_manifest_without_val_is_told_what_helps(tmp_path: Path) -> None:
    rows = ["path,label,split"]
    for i in range(12):
        write_photo(tmp_path / f"{i}.jpg", i % 2, i)
        rows.append(f"{i}.jpg,{('other', 'plant')[i % 2]},{('train', 'test')[i > 9]}")
    (tmp_path / "m.csv").write_text("\n".join(rows))
    with pytest.raises(TrainingDataError, match="name val for some photos") as error:
        load_dataset(tmp_path / "m.csv", DataSettings(min_per_class=2), tmp_path / "cache")
    assert "min-per-class" not in str(error.value)
