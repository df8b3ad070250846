"""Files of labels, whatever is in them: labels, or one sentence that says what is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantood.errors import PlantoodError
from plantood.training.files.sheets import columns, read_table
from plantood.training.review.exchange.finder import PhotoFinder
from plantood.training.review.exchange.found import Choices, FoundLabel
from plantood.training.review.exchange.label_studio_export import read_tasks
from plantood.training.review.exchange.sheet import read_sheet
from tests.training.review.rounds import mined_photo

IDS = ["0" * 64, "1" * 64]
FINDER = PhotoFinder(
    {id_: mined_photo(id_, f"photos/{id_}.jpg", 0.3, f"{id_[0]}.jpg") for id_ in IDS}
)
Reader = Callable[[Path, PhotoFinder, Choices], list[FoundLabel]]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels") / "labels"


def read(reader: Reader, file: Path, content: bytes) -> list[FoundLabel]:
    """The labels of a file, which are sound then; none if it was refused."""
    file.write_bytes(content)
    try:
        found = reader(file, FINDER, Choices())
    except PlantoodError as error:
        assert "labels" in str(error)  # noqa: PT017 (the name of the file; most files are refused)
        return []
    for label in found:
        assert label.photo is None or label.photo in IDS
        assert label.meaning.label in ("plant", "other", "unsure")
        assert label.time is None or label.time.tzinfo
    return found


CELLS = (
    st.sampled_from(["plant", "other", "unsure", "no_plant", "0.jpg", IDS[1], "2026-01-01", "=cmd"])
    | st.sampled_from(["http://a/0.jpg?d=1.jpg", "/data/upload/1/0.jpg", "a\\0.jpg"])
    | st.text(max_size=12)
)
WORDS = st.sampled_from(["plant", "Other", "unsure", "no_plant", "unfit", "other: no plant"])
ROWS = st.lists(st.tuples(CELLS, WORDS), max_size=4)
HEADERS = st.lists(
    st.sampled_from(["path", "Label", "kind", "reviewer", "time", "id", "sha256"]) | CELLS,
    max_size=6,
)
TABLES = st.lists(st.lists(CELLS, max_size=7), max_size=6)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"])


@st.composite
def sheets(draw: st.DrawFn) -> bytes:
    """A table as spreadsheets write them, and some do not."""
    text = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    ends = draw(st.sampled_from(["\r\n", "\n", "\r"]))
    rows = csv.writer(
        text, delimiter=draw(st.sampled_from(",;\t|")), quoting=quoting, lineterminator=ends
    )
    usual = st.builds(lambda rows: [["path", "label"], *rows], ROWS)
    rows.writerows(draw(usual | st.builds(lambda head, rows: [head, *rows], HEADERS, TABLES)))
    return text.getvalue().encode(draw(ENCODINGS), "replace")


@given(content=sheets() | st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_sheet_is_labels_or_refused(content: bytes, file: Path) -> None:
    read(read_sheet, file, content)


@given(
    rows=st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(["plant", "other", "unsure"]))),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_sound_sheet_loses_no_label(
    rows: list[tuple[str, str]], delimiter: str, encoding: str, file: Path
) -> None:
    lines = [delimiter.join(row) for row in [("id", "label"), *rows]]
    found = read(read_sheet, file, "\r\n".join(lines).encode(encoding))
    assert [(label.photo, label.meaning.label) for label in found] == rows


@given(content=st.binary(max_size=400) | sheets())
def test_any_table_is_rows_or_refused(content: bytes) -> None:
    try:
        rows = list(read_table(io.BytesIO(content), "labels", PlantoodError, columns(), ""))
    except PlantoodError:
        return
    assert [number for number, _ in rows] == sorted(number for number, _ in rows)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def objects(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object as the format has it; sometimes it lacks keys, or is anything."""
    whole, parts = st.fixed_dictionaries(keys), st.fixed_dictionaries({}, optional=keys)
    return st.integers(0, 29).flatmap(lambda n: {7: ANYTHING, 8: parts}.get(n, whole))


USERS = st.integers() | objects(email=CELLS, id=st.integers())
TIMES = st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31"]) | CELLS
RESULTS = objects(
    type=st.sampled_from(["choices", "rectanglelabels"]),
    from_name=st.sampled_from(["label", "quality"]) | ANYTHING,
    value=objects(choices=st.lists(WORDS | st.lists(WORDS, max_size=2), max_size=2)),
    meta=objects(text=CELLS.map("reviewer: {}".format) | st.lists(CELLS, max_size=2)),
)
TASKS = st.lists(
    objects(
        data=objects(image=CELLS, sha256=CELLS, path=CELLS, other=CELLS),
        annotations=st.lists(
            objects(
                was_cancelled=st.booleans(),
                created_at=TIMES,
                updated_at=TIMES,
                completed_by=USERS,
                updated_by=USERS,
                result=st.lists(RESULTS, max_size=3),
            ),
            max_size=3,
        ),
    ),
    max_size=3,
)


@given(content=TASKS.map(json.dumps).map(str.encode))
def test_any_tasks_are_labels_or_refused(content: bytes, file: Path) -> None:
    read(read_tasks, file, content)


@given(content=ANYTHING.map(json.dumps).map(str.encode) | st.binary(max_size=100) | sheets())
def test_any_json_is_labels_or_refused(content: bytes, file: Path) -> None:
    read(read_tasks, file, content)


@given(st.lists(CELLS | st.none(), max_size=5))
def test_any_hints_find_one_photo_or_none(hints: list[str | None]) -> None:
    assert FINDER.find(*hints) in (None, *IDS)


def test_a_broken_address_finds_none() -> None:
    assert FINDER.find("http://[0.jpg") is None
