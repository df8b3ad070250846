"""Which of the scored photos a reviewer should look at, and their copies in the round."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from plantood.errors import RoundError
from plantood.model.parts.neighbours import Neighbour
from plantood.training.files.atomic import write_bytes, write_csv
from plantood.training.judging.audit import AUDIT
from plantood.training.mining.alike import Fingerprints, alike_to_earlier
from plantood.training.mining.draw import UNREADABLE, FetchFailures, skipped
from plantood.training.mining.labelled import labelled_files
from plantood.training.mining.sources import FetchError, read
from plantood.training.mining.worklist import order_key
from plantood.training.photos.walk import EXTENSIONS
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track
from plantood.training.rounds.layout import PHOTOS, Round
from plantood.training.rounds.layout import UNREADABLE as UNREADABLE_FILE
from plantood.training.rounds.mined import MinedPhoto

NEAR_DUPLICATES = "near_duplicates.csv"
REASONS = ("at_most", "unlike", "margin", AUDIT)
"""Why a photo may be chosen, in the order of the funnel."""

NETWORK_REASONS = frozenset({"not_a_plant", "unfamiliar"})
"""Reasons that the network gives; all others come from the photo's quality. An earlier plantood
had the second one, too."""

_SCHEMA = """
CREATE TABLE scored(
    id TEXT PRIMARY KEY, plant_probability REAL, distance REAL, refused INTEGER, line TEXT
) WITHOUT ROWID;
CREATE TABLE chosen(id TEXT, reason TEXT, PRIMARY KEY (id, reason)) WITHOUT ROWID;
"""


def select_photos(
    round_: Round, threshold: float, fingerprint: Callable[[Sequence[Path], str], Fingerprints]
) -> dict[str, int]:
    """Write ``mined.csv``, most suspicious first, the photos in it, and ``unreadable.csv``.

    Chosen are the photos with P(plant) up to ``at_most``, and of the others, by the options
    ``unlike`` and ``margin``, so many of those farthest from all that the gate remembers and of
    those nearest to the threshold (the same photo may be both). With ``skip_refused``, photos that
    their quality refuses are not chosen at all. Those that are alike to a labelled photo or to one
    that is chosen already are left out and listed in ``near_duplicates.csv``, unless
    ``near_duplicates`` says that they are to stay.

    Besides, ``audit`` photos are drawn from all that were scored, each as likely as any other,
    whatever else is chosen; what is to be estimated from them holds for all photos of the source
    that were not left out as labelled.

    Args:
        round_: Whose photos are all scored.
        threshold: That of P(plant) in force.
        fingerprint: Makes photos comparable; takes files and what to call that.

    Returns:
        The rest of the funnel: at_most, unlike, margin, audit, alike, mined, and refused, the mined
        photos that their quality refuses.

    Raises:
        SourceError: The photos can no longer be fetched from the source.
        RoundError: Photos are to be chosen by ``unlike``, and were scored without what that needs.
    """
    info = round_.info
    lost: list[dict[str, str]] = []
    counts = {}
    # A temporary database on disk, so that the scores of any number of photos can be sorted.
    with closing(sqlite3.connect("", isolation_level=None)) as db:
        db.executescript(_SCHEMA)
        db.execute("BEGIN")
        db.executemany("INSERT OR IGNORE INTO scored VALUES (?, ?, ?, ?, ?)", _rows(round_))
        allowed = "NOT refused" if info.options.get("skip_refused") else "TRUE"
        others = f"{allowed} AND plant_probability > ? ORDER BY"
        _choose(db, "at_most", f"{allowed} AND plant_probability <= ?", info.at_most)
        if count := info.options.get("unlike"):
            _ensure_compared(round_, db)
            order = f"{others} distance DESC, id LIMIT ?"
            _choose(db, "unlike", order, info.at_most, count)
        if count := info.options.get("margin"):
            order = f"{others} abs(plant_probability - ?), id LIMIT ?"
            _choose(db, "margin", order, info.at_most, threshold, count)
        if count := info.options.get("audit"):
            db.create_function("drawn", 1, lambda id_: order_key(info.seed, f"audit {id_}"))
            _choose(db, AUDIT, "TRUE ORDER BY drawn(id) LIMIT ?", count)
        for reason in REASONS:
            found = db.execute("SELECT COUNT(*) FROM chosen WHERE reason = ?", (reason,))
            counts[reason] = found.fetchone()[0]
        photos = list(_copy_all(round_, db, lost))
        compared = photos and not info.options.get("near_duplicates")
        alike = _alike(round_, photos, fingerprint) if compared else {}
        if alike:
            write_csv(round_.path / NEAR_DUPLICATES, ("path", "like"), _rows_of(alike, photos))
        else:  # perhaps there were some in an earlier choice
            (round_.path / NEAR_DUPLICATES).unlink(missing_ok=True)
        mined = [photo for photo in photos if photo.id not in alike]
        round_.write_mined(mined)
        db.executemany("DELETE FROM chosen WHERE id = ?", ((id_,) for id_ in alike))
        _remove_strays(round_, db)
    _write_unreadable(round_, lost)
    refused = sum(bool(set(photo.reasons) - NETWORK_REASONS) for photo in mined)
    return counts | {"alike": len(alike), "mined": len(mined), "refused": refused}


def _alike(
    round_: Round,
    photos: Sequence[MinedPhoto],
    fingerprint: Callable[[Sequence[Path], str], Fingerprints],
) -> dict[str, str]:
    """Photos to be left out, by their id, with the path of what they are alike to.

    Those drawn for the audit stay, or it would be no random sample any more.
    """
    ordered = sorted(photos, key=lambda photo: AUDIT not in photo.selected_by)  # stable
    known = fingerprint(labelled_files(round_.info.labelled), "Comparing the labelled")
    piled = fingerprint([round_.path / photo.file for photo in ordered], "Comparing the chosen")
    by_file = {round_.path / photo.file: photo for photo in ordered}
    drawn = sum(AUDIT in by_file[file].selected_by for file in piled.files)
    every = known + piled
    return {
        by_file[every.files[index]].id: by_file[file].path if file in by_file else str(file)
        for index, other in alike_to_earlier(every, len(known.files) + drawn).items()
        for file in [every.files[other]]
    }


def _rows_of(alike: Mapping[str, str], photos: Iterable[MinedPhoto]) -> list[dict[str, str]]:
    return [{"path": photo.path, "like": alike[photo.id]} for photo in photos if photo.id in alike]


def _rows(round_: Round) -> Iterator[tuple[Any, ...]]:
    for line in round_.scores():
        refused = bool(set(line["reasons"]) - NETWORK_REASONS)
        yield (
            line["id"],
            line["plant_probability"],
            min((distance for _, _, distance in _nearest(line)), default=None),
            refused,
            json.dumps(line),
        )


def _ensure_compared(round_: Round, db: sqlite3.Connection) -> None:
    if db.execute("SELECT 1 FROM scored WHERE distance IS NULL LIMIT 1").fetchone():
        raise RoundError(
            f"{round_.path} was scored by an earlier plantood, which did not note how unlike its "
            "training photos a photo is; mine without --unlike, or into another --out."
        )


def _choose(db: sqlite3.Connection, reason: str, condition: str, *values: float) -> None:
    db.execute(f"INSERT INTO chosen SELECT id, '{reason}' FROM scored WHERE {condition}", values)


def _copy_all(
    round_: Round, db: sqlite3.Connection, lost: list[dict[str, str]]
) -> Iterator[MinedPhoto]:
    """The chosen photos as they are copied; those that are gone or changed become ``lost``."""
    total = db.execute("SELECT COUNT(DISTINCT id) FROM chosen").fetchone()[0]
    rows = db.execute(
        "SELECT line, group_concat(reason, '+') FROM "
        "(SELECT * FROM chosen ORDER BY id, reason) JOIN scored USING (id) "
        "GROUP BY id ORDER BY plant_probability, id"
    )
    photos = (_mined(json.loads(line), reasons) for line, reasons in rows)
    most = round_.info.limits.max_bytes
    copies = map_in_order(lambda photo: (photo, _copy(round_.path, photo, most)), photos)
    failures = FetchFailures()
    for photo, why in track(copies, total, "Copying the photos"):
        failures.count(not why, why, photo.path)
        if why:
            lost.append({"path": photo.path, "reason": why})
        else:
            yield photo


def _mined(line: dict[str, Any], reasons: str) -> MinedPhoto:
    suffix = os.path.splitext(line["path"])[1].lower()  # noqa: PTH122 (may be a URL)
    name = line["id"] + (suffix if suffix in EXTENSIONS else ".jpg")
    return MinedPhoto(
        id=line["id"],
        path=line["path"],
        file=f"{PHOTOS}/{line['id'][:2]}/{name}",
        plant_probability=line["plant_probability"],
        selected_by=tuple(sorted(reasons.split("+"))),
        verdict=line["verdict"],
        reasons=tuple(line["reasons"]),
        sharpness=line["quality"]["sharpness"],
        brightness=line["quality"]["brightness"],
        source=line.get("source", ""),
        nearest=tuple(Neighbour(*one) for one in _nearest(line)),
    )


def _nearest(line: Mapping[str, Any]) -> list[tuple[Literal["plant", "other"], str, float]]:
    """What a photo is near to; an earlier plantood did not ask."""
    return line.get("nearest") or []


def _copy(round_: Path, photo: MinedPhoto, max_bytes: int) -> str:
    """Copy a photo into the round, unless it is there; say why, if it cannot be."""
    file = round_ / photo.file
    if file.exists():
        return ""
    try:
        data = read(photo.path, max_bytes)
    except FetchError as error:
        return f"scored, but gone since: {error}"
    if hashlib.sha256(data).hexdigest() != photo.id:
        return "scored, but changed since"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, data)
    return ""


def _write_unreadable(round_: Round, lost: list[dict[str, str]]) -> None:
    def rows() -> Iterator[dict[str, str]]:
        yield from skipped(round_, UNREADABLE)
        yield from lost

    write_csv(round_.path / UNREADABLE_FILE, ("path", "reason"), rows())


def _remove_strays(round_: Round, db: sqlite3.Connection) -> None:
    """Remove copies that a kill left unfinished, or of photos that are no longer chosen."""
    for file in round_.path.glob(f"{PHOTOS}/*/*"):
        if not db.execute("SELECT 1 FROM chosen WHERE id = ?", (file.stem,)).fetchone():
            file.unlink()
    for file in round_.path.glob("*.tmp"):
        file.unlink()
