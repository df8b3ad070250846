"""Lists of photos for mining, whatever is in them: photos, or one sentence of what is wrong."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantood.errors import SourceError, TrainingDataError
from plantood.training.mining.labelled import Labelled, labelled_files, read_labelled
from plantood.training.mining.sources import Entry, FetchError, entries, is_url, read
from plantood.training.rounds.mined import DIGEST
from tests.training.files.test_sheets_properties import CELLS, IDS, sheets

pa = pytest.importorskip(
    "pyarrow", reason='pyarrow is not installed (pip install "plantood[parquet]")'
)
parquet = pytest.importorskip("pyarrow.parquet")

CONTENTS = sheets() | st.binary(max_size=200) | st.text(max_size=100).map(str.encode)
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists")


def listed(file: Path, content: bytes) -> list[Entry]:
    """The photos of a list, whose paths are sound then; none if it was refused."""
    file.write_bytes(content)
    try:
        found = list(entries(str(file)))
    except SourceError as error:
        assert file.name in str(error)  # noqa: PT017 (most files are refused)
        return []
    for entry in found:
        for text in (entry.path, entry.name, entry.source):
            text.encode()  # or the list of work could not take it
        assert is_url(entry.path) or Path(entry.path).is_absolute()
        if not is_url(entry.path):
            with pytest.raises(FetchError):  # there is no photo at all
                read(entry.path)
    return found


@given(content=CONTENTS, kind=st.sampled_from(["txt", "csv", "tsv"]))
def test_any_text_is_photos_or_refused(content: bytes, kind: str, folder: Path) -> None:
    listed(folder / f"list.{kind}", content)


@given(content=CONTENTS | st.just(b"path\n\xff.jpg\n"))
def test_any_table_of_the_labelled_is_read_or_refused(content: bytes, folder: Path) -> None:
    file = folder / "labels.csv"
    file.write_bytes(content)
    try:
        labelled, files = read_labelled([str(file)]), labelled_files([str(file)])
    except TrainingDataError as error:
        assert "labels.csv" in str(error)  # noqa: PT017 (most files are refused)
        return
    assert isinstance(labelled, Labelled)
    assert all(map(DIGEST.fullmatch, labelled.digests))
    assert len(labelled.paths) >= len(set(files))
    for path in labelled.paths:
        path.encode()


@given(rows=st.lists(st.tuples(st.sampled_from(["a.jpg", "b/c.png"]), st.sampled_from(IDS))))
def test_a_sound_table_of_the_labelled_loses_no_photo(
    rows: list[tuple[str, str]], folder: Path
) -> None:
    file = folder / "labels.csv"
    file.write_text("\n".join(map(",".join, [("path", "sha256"), *rows])))
    labelled = read_labelled([str(file)])
    assert labelled.digests == {digest for _, digest in rows}
    assert labelled_files([str(file)]) == [folder / path for path, _ in rows]


VALUES = st.one_of(
    *(
        st.lists(st.none() | one, max_size=4).map(lambda values, kind=kind: pa.array(values, kind))
        for one, kind in (
            (CELLS, "string"),
            (CELLS, "large_string"),
            (st.binary(max_size=9), "binary"),
            (st.integers(-(2**63), 2**63 - 1), "int64"),
            (st.integers(-(2**63), 2**63 - 1), pa.timestamp("us")),
            (st.integers(-(2**31), 2**31 - 1), pa.date32()),
            (st.floats(), "float64"),
            (st.lists(CELLS, max_size=2), pa.list_(pa.string())),
        )
    )
)


def as_parquet(columns: list[tuple[str, Any]]) -> bytes:
    """A table of columns, cut to the same length; two may have the same name."""
    rows = min((len(values) for _, values in columns), default=0)
    arrays = [values.slice(0, rows) for _, values in columns]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(arrays, [name for name, _ in columns]), file)
    return file.getvalue()


@given(
    columns=st.lists(
        st.tuples(st.sampled_from(["path", "source", "Path"]), VALUES), min_size=1, max_size=3
    ),
    damage=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=2),
)
def test_any_parquet_is_photos_or_refused(
    columns: list[tuple[str, Any]], damage: list[tuple[int, int]], folder: Path
) -> None:
    content = bytearray(as_parquet(columns))
    for place, value in damage:
        content[place % len(content)] = value
    listed(folder / "list.parquet", bytes(content))


@given(paths=st.lists(PATHS), kind=st.sampled_from(["string", "large_string", "binary"]))
def test_a_sound_parquet_loses_no_photo(paths: list[str], kind: str, folder: Path) -> None:
    """Text that its writer did not mark as such is text."""
    values = [path.encode() for path in paths] if kind == "binary" else paths
    found = listed(folder / "list.parquet", as_parquet([("path", pa.array(values, kind))]))
    assert [entry.name for entry in found] == paths
