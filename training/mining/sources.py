"""Where unlabelled photos come from: a folder tree, a list of paths, or an fsspec URL.

Everything is listed one name at a time, however many there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantood.defaults import with_extra
from plantood.errors import SourceError
from plantood.training.files.paths import existing, spelled
from plantood.training.files.sheets import LongLine, columns, lines_of, open_text, read_table
from plantood.training.photos.walk import (
    HIDDEN_FOLDER,
    NOTHING,
    is_hidden,
    walk_files,
    why_no_photo,
)
from plantood.training.rounds.plain import MOST_BYTES, read_file

LISTS = (".txt", ".csv", ".tsv", ".parquet")
"""Files with these endings are lists of photos."""

_REMEDY = "name the one with the paths of the photos so."

ATTEMPTS = 4
FIRST_WAIT_S = 0.5
"""A photo that a URL does not give is asked for again after this time, then after twice that."""


@dataclass(frozen=True)
class Entry:
    """One photo of a source.

    Attributes:
        path: Absolute path, or URL.
        name: Its name within the source, the same on every machine: the sample is drawn by it.
        source: Camera, place or collection, if the list names it.
    """

    path: str
    name: str
    source: str = ""


class FetchError(Exception):
    """The bytes of a photo could not be had, whatever they are."""


def is_url(path: str) -> bool:
    """True for ``s3://...`` and its like, False for a path; ``file://`` is a path in disguise."""
    return "://" in path


LeaveOut = Callable[[str, str], object]
"""Told of everything in a source that is left out: why, and its name."""


def entries(source: str, leave_out: LeaveOut = lambda *_: None) -> Iterator[Entry]:
    """The photos of a source, in whatever order they are found.

    Args:
        leave_out: Told of what is no photo, and of what is not searched.
        source: A folder (searched through, without hidden folders, rounds and windows), a list
            (``.txt``: a path a line; ``.csv``, ``.tsv``, ``.parquet``: the column ``path`` and, if
            there is one, ``source``; paths relative to the list), or the URL of a folder or list.

    Raises:
        SourceError: There is no such source, it cannot be listed, or it is no list of photos.
    """
    if is_url(source):
        filesystem, root = open_filesystem(source)
        if "file" not in _protocols(filesystem):
            found = _remote(filesystem, root, leave_out)
        else:
            found = _local(Path(root), source, leave_out)
    else:
        found = _local(existing(source), source, leave_out)
    try:
        yield from found
    except FileNotFoundError as error:
        raise SourceError(f"There is nothing at {source}; check the name.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{source} cannot be listed ({error}).") from error


def read(path: str, max_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of one photo, one above ``max_bytes`` at most; a URL is tried several times.

    Raises:
        FetchError: They cannot be had; the message says why.
    """
    if not is_url(path):
        try:
            return read_file(existing(path), max_bytes)
        except (OSError, ValueError) as error:
            raise FetchError(_why(error)) from error
    for attempt in range(ATTEMPTS):
        try:
            filesystem, name = open_filesystem(path)
            # Not `cat_file` of a range: over HTTP that is the whole file where a server likes.
            with filesystem.open(name, "rb") as file:
                content: bytes = file.read(max_bytes + 1)
        except (FileNotFoundError, PermissionError, IsADirectoryError, SourceError) as error:
            raise FetchError(_why(error)) from error
        except Exception as error:  # each kind of storage has errors of its own
            if attempt == ATTEMPTS - 1:
                raise FetchError(_why(error)) from error
            time.sleep(FIRST_WAIT_S * 2**attempt)
        else:
            return content
    raise AssertionError("unreachable")


def open_filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        SourceError: The kind of URL is not known, or its package is missing.
    """
    from fsspec.core import url_to_fs

    try:
        # What is listed is not kept: a bucket's listing may be larger than the memory.
        filesystem, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}.get(url.partition("://")[0])
        hint = with_extra(extra) if extra else "install its fsspec package"
        raise SourceError(f"{url} cannot be read here ({error}); {hint}.") from error
    except ValueError as error:
        raise SourceError(f"{url} cannot be read ({error}).") from error
    return filesystem, path


def _local(path: Path, given: str, leave_out: LeaveOut) -> Iterator[Entry]:
    if path.is_dir():
        yield from _folder(os.path.realpath(path), leave_out)
    elif path.is_file():
        _check_list(path.name, given)
        folder = os.path.realpath(path.parent)
        with path.open("rb") as file:
            for name, source in _rows(file, path.suffix.lower(), given):
                whole = name if is_url(name) else os.path.join(folder, name)  # noqa: PTH118 (a million of them)
                yield Entry(spelled(whole), spelled(name), spelled(source))
    else:
        raise SourceError(
            f"There is no folder or list of photos at {given}; give a folder, a .txt, .csv or "
            ".parquet file, or a URL such as s3://bucket/photos."
        )


def _folder(folder: str, leave_out: LeaveOut) -> Iterator[Entry]:
    """Photos below a folder, not following links to folders, without what plantood put there."""
    for item in walk_files(folder, follow_links=False, without_made=True):
        if item.reason:
            leave_out(item.reason, spelled(item.path))
        else:
            yield Entry(spelled(item.path), spelled(item.name))


def _remote(filesystem: Any, root: str, leave_out: LeaveOut) -> Iterator[Entry]:
    def url(path: str) -> str:
        return str(filesystem.unstrip_protocol(path))

    root = root.rstrip("/")
    if root.lower().endswith(LISTS):
        folder = url(root).rpartition("/")[0]
        with filesystem.open(root, "rb") as file:
            for name, source in _rows(file, f".{root.lower().rpartition('.')[2]}", url(root)):
                _ensure_there(name, url(root))
                yield Entry(name if is_url(name) else f"{folder}/{name}", name, source)
        return
    folders = [root]
    while folders:
        folder = folders.pop()
        for item in filesystem.ls(folder, detail=True):
            path = item["name"].rstrip("/")
            last = path.rpartition("/")[2]
            if path == folder:
                continue
            if item["type"] != "directory":
                why = why_no_photo(last)
            elif is_hidden(last):
                why = HIDDEN_FOLDER
            else:
                folders.append(path)
                continue
            if not why:
                yield Entry(url(path), path.removeprefix(root).lstrip("/"))
            elif why != NOTHING:
                leave_out(why, url(path))


def _ensure_there(name: str, given: str) -> None:
    """Refuse what a list that lies elsewhere names here: whoever wrote it may not be the user.

    Two colons lead from one file system into another.
    """
    elsewhere = is_url(name) and name.partition("://")[0] != given.partition("://")[0]
    if elsewhere or name.startswith("/") or "::" in name:
        raise SourceError(
            f"{given} names {spelled(name)[:200]}, which lies elsewhere; a list at a URL names "
            "photos by URLs of the same kind, or relative to itself. Copy the list to this machine "
            "if you trust it."
        )


def _check_list(name: str, given: str) -> None:
    if not name.lower().endswith(LISTS):
        raise SourceError(
            f"{given} is no list of photos; give a folder, or a file that ends in "
            f"{', '.join(LISTS)}."
        )


def _rows(file: Any, kind: str, given: str) -> Iterator[tuple[str, str]]:
    """Path and source of each row of a list."""
    if kind == ".parquet":
        yield from _parquet_rows(file, given)
        return
    if kind == ".txt":
        try:
            for line in lines_of(open_text(file)):
                if path := line.strip():
                    yield path, ""
        except LongLine as error:
            raise SourceError(f"{given} is no list of photos ({error}).") from error
        return
    for _, row in read_table(file, given, SourceError, columns("path"), _REMEDY):
        if row["path"]:
            yield row["path"], row.get("source", "")


def _parquet_rows(file: Any, given: str) -> Iterator[tuple[str, str]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise SourceError(
            f"{given} cannot be read without pyarrow: {with_extra('parquet')}."
        ) from error
    try:
        table = ParquetFile(file)
        names = table.schema_arrow.names
        wanted = ["path", "source"] if "source" in names else ["path"]
        lacking = columns("path")(names)
        if twice := [name for name in wanted if names.count(name) > 1]:
            lacking = f"one meaning, as it has the column {twice[0]} twice"
        if lacking:
            found = ", ".join(names) or "none"
            raise SourceError(f"{given} lacks {lacking} (it has: {found}); {_REMEDY}")
        for batch in table.iter_batches(batch_size=4096, columns=wanted):
            # As text, whatever it is: many writers leave text as bytes.
            texts = (batch.column(name).cast("string").to_pylist() for name in wanted)
            for path, *source in zip(*texts, strict=True):
                if path:
                    yield path, "".join(filter(None, source))
    except ArrowException as error:
        raise SourceError(f"{given} is no Parquet file with texts ({error}).") from error


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
