from __future__ import annotations

import csv
import os
import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plantood.errors import SourceError
from plantood.training.mining import sources
from plantood.training.mining.sources import Entry, FetchError, entries, read
from plantood.training.rounds.plain import MOST_BYTES
from tests.training.beside import in_time
from tests.training.conftest import write_photo

NAMES = ["a/1.jpg", "a/b/2.PNG", "3.webp", "a/käse, 4.heic"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in [*NAMES, "a/notes.txt", ".hidden/5.jpg", "a/.6.jpg", "movie.mp4"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (root / "round-1" / "photos" / "aa").mkdir(parents=True)
    (root / "round-1" / "photos" / "aa" / "7.jpg").touch()
    (root / "round-1" / "round.json").touch()
    (root / "soil" / "other" / "field").mkdir(parents=True)
    (root / "soil" / "other" / "field" / "8.jpg").touch()
    (root / "soil" / "cut.jsonl").touch()
    return root


def names(source: object) -> list[str]:
    return sorted(entry.name for entry in entries(str(source)))


def test_a_folder_is_searched_through(folder: Path) -> None:
    assert names(folder) == sorted(NAMES)
    for entry in entries(str(folder)):
        assert entry.path == str(folder / entry.name)
        assert read(entry.path) == entry.name.encode()


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    (folder / "8.jpg").symlink_to(folder / "a" / "1.jpg")
    assert names(folder) == sorted([*NAMES, "8.jpg"])


def test_a_file_url_is_the_folder(folder: Path) -> None:
    assert set(entries(f"file://{folder}")) == set(entries(str(folder)))


def test_a_name_that_is_no_text_is_listed_and_read(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).write_bytes(b"x")
    (entry,) = set(entries(str(folder))) - {Entry(str(folder / name), name) for name in NAMES}
    assert entry.name == r"caf\udce9.jpg"
    assert read(entry.path) == b"x"


def test_a_text_list(folder: Path) -> None:
    listed = folder / "photos.txt"
    listed.write_text(f"a/1.jpg\n\n{folder}/3.webp\r\ns3://bucket/5.jpg\nno suffix\n")
    assert list(entries(str(listed))) == [
        Entry(f"{folder}/a/1.jpg", "a/1.jpg"),
        Entry(f"{folder}/3.webp", f"{folder}/3.webp"),
        Entry("s3://bucket/5.jpg", "s3://bucket/5.jpg"),
        Entry(f"{folder}/no suffix", "no suffix"),
    ]


def test_a_csv_list(folder: Path) -> None:
    listed = folder / "photos.csv"
    with listed.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerows([["source", "path"], ["phone, old", NAMES[3]], ["", "a/1.jpg"], ["x", ""]])
    assert list(entries(str(listed))) == [
        Entry(str(folder / NAMES[3]), NAMES[3], "phone, old"),
        Entry(f"{folder}/a/1.jpg", "a/1.jpg"),
    ]


def test_a_parquet_list(folder: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table(
        {"path": ["a/1.jpg", None, "3.webp"], "source": ["x", "y", None], "n": [1] * 3}
    )
    pq.write_table(table, folder / "photos.parquet")
    expected = [
        Entry(f"{folder}/a/1.jpg", "a/1.jpg", "x"),
        Entry(f"{folder}/3.webp", "3.webp"),
    ]
    assert list(entries(str(folder / "photos.parquet"))) == expected
    assert list(entries(f"file://{folder}/photos.parquet")) == expected
    pq.write_table(table.select(["n"]), folder / "other.parquet")
    with pytest.raises(SourceError, match="lacks the column path"):
        list(entries(str(folder / "other.parquet")))
    (folder / "bad.parquet").write_bytes(b"PAR?")
    with pytest.raises(SourceError, match="no Parquet file"):
        list(entries(str(folder / "bad.parquet")))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere", "no folder or list of photos at nowhere"),
        ("s3x://bucket/photos", "Protocol not known"),
        ("memory://nowhere/photos", "nothing at memory://nowhere"),
        ("photo.jpg", "no list of photos; give a folder"),
        ("no_path.csv", r"lacks the column path \(it has: file, n\)"),
        ("photo.csv", "is not a CSV file"),
    ],
)
def test_what_is_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").touch()
    Path("no_path.csv").write_text("file,n\na.jpg,1\n")
    write_photo(tmp_path / "photo.jpg", 1, 0).rename("photo.csv")
    Path("photo.jpg").touch()
    with pytest.raises(SourceError, match=says):
        list(entries(source))


def test_a_missing_package_is_named() -> None:
    try:
        import s3fs  # noqa: F401
    except ImportError:
        with pytest.raises(SourceError, match=r'pip install "\./plantood\[s3\]"'):
            list(entries("s3://bucket/photos"))
    else:
        pytest.skip("s3fs is installed")


class _Bucket(SimpleHTTPRequestHandler):
    """A folder over HTTP that fails for a while, or for ever, where it is told to."""

    failures: dict[str, int]

    def do_GET(self) -> None:
        if self.failures.get(self.path, 0) > 0:
            self.failures[self.path] -= 1
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(sources, "FIRST_WAIT_S", 0.01)
    handler = type("Bucket", (_Bucket,), {"failures": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        server.failures = handler.failures
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_url_is_searched_through(folder: Path, bucket: ThreadingHTTPServer) -> None:
    (folder / NAMES[3]).unlink()  # its name comes back quoted
    url = f"http://127.0.0.1:{bucket.server_port}"
    found = list(entries(url))
    # Over HTTP nothing says what plantood made; everything else is as in the folder.
    made = ["round-1/photos/aa/7.jpg", "soil/other/field/8.jpg"]
    assert sorted(entry.name for entry in found) == sorted([*NAMES[:3], *made])
    for entry in found:
        assert entry.path == f"{url}/{entry.name}"
    assert read(f"{url}/a/1.jpg") == b"a/1.jpg"


def test_a_list_at_a_url(folder: Path, bucket: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{bucket.server_port}/a"
    (folder / "a" / "photos.txt").write_text("1.jpg\nb/2.PNG\n")
    assert [entry.path for entry in entries(f"{url}/photos.txt")] == [
        f"{url}/1.jpg",
        f"{url}/b/2.PNG",
    ]


def test_a_passing_failure_is_overcome(bucket: ThreadingHTTPServer) -> None:
    bucket.failures["/a/1.jpg"] = sources.ATTEMPTS - 1
    assert read(f"http://127.0.0.1:{bucket.server_port}/a/1.jpg") == b"a/1.jpg"


def test_no_more_is_read_of_a_url_than_a_photo_may_have(
    folder: Path, bucket: ThreadingHTTPServer
) -> None:
    """Of this server a part cannot be had: it answers the whole file, whatever is asked for."""
    with (folder / "film.jpg").open("wb") as film:
        film.truncate(1 << 40)
    url = f"http://127.0.0.1:{bucket.server_port}/film.jpg"
    assert len(in_time(read, url)) == MOST_BYTES + 1
    (folder / "empty.jpg").touch()
    assert read(url.replace("film", "empty")) == b""


def test_a_lasting_failure_is_told(bucket: ThreadingHTTPServer) -> None:
    bucket.failures["/a/1.jpg"] = 100
    with pytest.raises(FetchError, match="503"):
        read(f"http://127.0.0.1:{bucket.server_port}/a/1.jpg")
    assert bucket.failures["/a/1.jpg"] == 100 - sources.ATTEMPTS
    with pytest.raises(FetchError):
        read(f"http://127.0.0.1:{bucket.server_port}/a/9.jpg")


@pytest.mark.parametrize(
    "name",
    [
        "{folder}/3.webp",
        "file://{folder}/3.webp",
        "local://{folder}/3.webp",
        "simplecache::file://{folder}/3.webp",
        "filecache::{folder}/3.webp",
        "zip://3.webp::file://{folder}/3.zip",
        "memory://holds/a.jpg::file://{folder}/3.webp",
        "3.webp::file://{folder}/3.webp",
        "s3://another/3.webp",
    ],
)
def test_a_list_in_a_bucket_names_nothing_of_this_machine(folder: Path, name: str) -> None:
    import fsspec

    listed = f"2.jpg\n{name.format(folder=folder)}\n"
    fsspec.filesystem("memory").pipe("/lists/photos.txt", listed.encode())
    found = entries("memory://lists/photos.txt")
    assert next(found).name == "2.jpg"
    with pytest.raises(SourceError, match="lies elsewhere; a list at a URL names photos"):
        next(found)


def test_a_list_in_a_bucket_names_what_is_in_it(folder: Path) -> None:
    import fsspec

    bucket = fsspec.filesystem("memory")
    bucket.pipe("/lists/photos.txt", b"memory://holds/a.jpg\nb/c.jpg\n")
    bucket.pipe("/holds/a.jpg", b"a")
    bucket.pipe("/lists/b/c.jpg", b"c")
    assert [read(entry.path) for entry in entries("memory://lists/photos.txt")] == [b"a", b"c"]


def test_what_a_bucket_holds_beside_photos_is_told() -> None:
    import fsspec

    bucket = fsspec.filesystem("memory")
    for name in ("a.jpg", "b.dng", "c", "notes.txt", ".d.jpg", ".trash/e.jpg", "@eaDir/f.jpg"):
        bucket.pipe(f"/holds/{name}", b"x")
    told: list[tuple[str, str]] = []
    found = entries("memory://holds", lambda why, name: told.append((name, why)))
    assert [entry.name for entry in found] == ["a.jpg"]
    assert {name.removeprefix("memory://").removeprefix("/holds/"): why for name, why in told} == {
        "b.dng": "it ends in .dng, as no photo here does",
        "c": "its name has no ending",
        ".d.jpg": "a hidden file",
        ".trash": "a hidden folder",
        "@eaDir": "a hidden folder",
    }
