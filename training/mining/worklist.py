"""The photos of a source in the order in which they are drawn, on disk instead of in memory.

The order is that of a keyed hash of each photo's name: a uniform random permutation that depends
on the seed and the names alone, not on the order or the moment of listing. The sample is its
beginning, so a smaller sample is part of a larger one.
"""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from plantood.training.files.paths import SPELLING
from plantood.training.mining.labelled import Labelled
from plantood.training.mining.sources import Entry
from plantood.training.photos.account import Account

FILE = "work.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS photos(key BLOB PRIMARY KEY, path TEXT, source TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labelled(id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listing(already_labelled INTEGER);
CREATE TABLE IF NOT EXISTS left_out(reason TEXT PRIMARY KEY, count INTEGER, example TEXT);
PRAGMA temp_store = FILE;
CREATE TEMP TABLE done(path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE seen(id TEXT PRIMARY KEY, path TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Task:
    """A photo to be scored."""

    path: str
    source: str


def order_key(seed: int, name: str) -> bytes:
    """Where in the order a photo stands: BLAKE2b of its name, keyed with the seed, 16 bytes."""
    return hashlib.blake2b(
        name.encode("utf-8", SPELLING), digest_size=16, key=str(seed).encode()
    ).digest()


class WorkList:
    """What is to be done, in a SQLite file, and what is done, in a temporary one."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def is_listed(self) -> bool:
        """True if the whole source was listed."""
        return self._db.execute("SELECT 1 FROM listing").fetchone() is not None

    def list_source(
        self,
        entries: Iterable[Entry],
        labelled: Labelled,
        seed: int,
        on_listed: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Take in a whole source, or, if interrupted, nothing of it.

        Args:
            entries: The photos of the source.
            labelled: Those that are left out: at once by their path, later by their bytes.
            seed: Of the order.
            on_listed: Called with the number of photos of every piece that was taken in.
        """
        already = 0

        def rows(piece: Iterable[Entry]) -> Iterator[tuple[bytes, str, str]]:
            nonlocal already
            for entry in piece:
                if entry.path in labelled.paths:
                    already += 1
                    self.leave_out("labelled already", entry.path)
                else:
                    yield order_key(seed, entry.name), entry.path, entry.source

        self._db.execute("BEGIN")
        with self._db:  # commits, or rolls back
            self._db.executemany(
                "INSERT OR IGNORE INTO labelled VALUES (?)", ((d,) for d in labelled.digests)
            )
            entries = iter(entries)
            while piece := list(itertools.islice(entries, 1000)):
                self._db.executemany("INSERT OR IGNORE INTO photos VALUES (?, ?, ?)", rows(piece))
                on_listed(len(piece))
            self._db.execute("INSERT INTO listing VALUES (?)", (already,))

    def leave_out(self, reason: str, example: str) -> None:
        """Remember that something in the source is left out, while the source is listed."""
        self._db.execute(
            "INSERT INTO left_out VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET count = count + 1",
            (reason, example),
        )

    def account(self, name: str) -> Account:
        """What became of everything in the source, so far as its listing tells."""
        account = Account(name)
        for source, count in self._db.execute("SELECT source, COUNT(*) FROM photos GROUP BY 1"):
            account.used["", source] = count
        for reason, count, example in self._db.execute("SELECT * FROM left_out"):
            account.leave_out(reason, example, count)
        return account

    def count(self) -> int:
        """Photos of the source that are not known by their path to be labelled."""
        return self._number("SELECT COUNT(*) FROM photos")

    def already_labelled(self) -> int:
        """Photos of the source that were left out by their path."""
        return self._number("SELECT already_labelled FROM listing")

    def pending(self) -> Iterator[Task]:
        """The photos that are not done, in their order; may be consumed while others are done."""
        rows = self._db.execute(
            "SELECT path, source FROM photos WHERE NOT EXISTS "
            "(SELECT 1 FROM done WHERE done.path = photos.path) ORDER BY key"
        )
        return (Task(path, source) for path, source in rows)

    def mark_done(self, path: str, identity: str | None = None) -> None:
        """Remember that a photo is done, and its bytes."""
        self._db.execute("INSERT OR IGNORE INTO done VALUES (?)", (path,))
        if identity is not None:
            self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (identity, path))

    def is_labelled(self, identity: str) -> bool:
        """True if the same bytes were labelled elsewhere."""
        found = self._db.execute("SELECT 1 FROM labelled WHERE id = ?", (identity,))
        return found.fetchone() is not None

    def same_bytes(self, identity: str) -> str | None:
        """Path of a scored photo with the same bytes, if there is one."""
        found = self._db.execute("SELECT path FROM seen WHERE id = ?", (identity,)).fetchone()
        return found[0] if found else None

    def _number(self, query: str) -> int:
        number: int = self._db.execute(query).fetchone()[0]
        return number
