"""The folder of negatives: photos in, windows cut out and written with where they are from.

::

    soil/
      run.json            the choices that it was made with
      cut.jsonl           one line for every photo that is done, appended
      other/field/*.jpg   the windows
      origins.csv         path,label,source,group,origin,box: a manifest for training
      refused.csv         origin,box,reason

``group`` is the SHA-256 of the photo that a window was cut from: photos of one group, and the
photo itself, are never divided between training, validation and test.

The photos themselves stand in the manifest as well, as plants, where they lie: with nothing but
negatives from a camera, a gate learns to tell the camera, and refuses its plants, too.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from plantood.errors import SettingsError, TrainingDataError, UnreadablePhoto
from plantood.photo.images import Limits, load_image
from plantood.training.files.atomic import write_bytes, write_csv
from plantood.training.negatives.soil import Cut, bare_windows
from plantood.training.negatives.windows import Square
from plantood.training.photos.account import Account
from plantood.training.photos.walk import (
    CUT,
    CUT_FOLDER,
    WINDOWS,
    holds_windows,
    walk_files,
)
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track
from plantood.training.process.run import open_run
from plantood.training.rounds import journal
from plantood.training.rounds.plain import read_file

ORIGINS, REFUSED = "origins.csv", "refused.csv"
ORIGIN_COLUMNS = ("path", "label", "source", "group", "origin", "box")
REFUSED_COLUMNS = ("origin", "box", "reason")
VERSION = 2
"""Raised when photos are cut differently, so that one folder never holds both."""
LEAST_VEGETATION = 0.03
"""Share of a photo that plants must cover for it to count as a photo of plants."""
LEAST_SIDE = 224
"""Pixels: what the network sees. A smaller window would be enlarged."""
SHORTER_SIDE = 6 * LEAST_SIDE
"""Larger photos are reduced to it: a window of the smallest side is a sixth of the photo, since the
gate is to learn what ground looks like from where a farmer stands, not under a lens."""
JPEG_QUALITY = 92
LONGEST_STEM = 200
"""Bytes of a photo's name that its windows keep: with what is added, a file name has up to 255."""


@dataclass(frozen=True)
class SoilSettings:
    """How windows are cut. Everything here changes the result."""

    least_side: int = LEAST_SIDE
    at_most: int = 6
    source: str = "field"
    plants: bool = True
    """Whether photos that windows were cut from are plants to learn from."""


@dataclass(frozen=True)
class Negatives:
    """What is in the folder."""

    photos: int
    windows: int
    plants: int
    """Photos that stand beside their windows, as plants."""
    refused: Counter[str]
    """Windows by the reason for which they were refused, without its figures."""
    without: Counter[str]
    """Photos without a window, by the reason."""


def cut_soil(photos: Sequence[Path], out: Path, settings: SoilSettings) -> Negatives:
    """Cut bare ground out of photos into a folder; photos that are done are not cut again.

    A window that somebody has removed from the folder stays removed, and no window is a photo to
    cut, wherever it lies among them.

    Raises:
        TrainingDataError: no photo is there.
        SettingsError: the folder was made with other choices, or has photos of its own where the
            windows would be, or another process works in it.
    """
    files = photo_files(photos)
    _ensure_no_photos_of_its_own(out)
    with open_run(out, {"negatives": "soil", "version": VERSION, **asdict(settings)}):
        (out / CUT).touch()  # before there is a window: by this one is told from a photo
        done = {record["sha256"]: record for record in journal.read(out / CUT)}
        results = map_in_order(partial(_cut_file, out=out, settings=settings, done=done), files)
        unread = []
        for record in track(results, len(files), "Cutting bare ground"):
            digest = record["sha256"]
            if not digest:
                unread.append(record)  # not for ever: the file may be there the next time
            elif digest not in done:
                journal.append(out / CUT, [record])
                done[digest] = record
        records = [one for one in (*done.values(), *unread) if not _is_window(one["origin"])]
        rows = list(_origin_rows(records, out, settings))
        write_csv(out / ORIGINS, ORIGIN_COLUMNS, rows)
        write_csv(out / REFUSED, REFUSED_COLUMNS, _refused_rows(records))
    return _summary(records, rows)


def _ensure_no_photos_of_its_own(out: Path) -> None:
    """Make sure that whatever lies where the windows are is a window.

    Raises:
        SettingsError: a photo lies there, and no window was ever cut.
    """
    windows = out / WINDOWS
    if os.path.lexists(out / CUT) or not windows.is_dir():
        return
    if any(not item.reason for item in walk_files(windows, follow_links=True)):
        raise SettingsError(
            f"{windows} has photos that were not cut here, among which no window could be told; "
            "give windows a folder of their own, such as --out soil, and train on both."
        )


def photo_files(photos: Iterable[Path]) -> list[Path]:
    """The photos themselves, and those in folders, each once, in the order of their names.

    Left out is what `plantood negatives` has cut, and what a round below a folder holds.

    Raises:
        TrainingDataError: a file or folder does not exist, or there is no photo in them.
    """
    found: dict[Path, None] = {}
    account = Account(", ".join(map(str, photos)))
    for path in photos:
        if _is_window(path):
            account.leave_out(CUT_FOLDER, path)
        elif path.is_dir():
            walked = walk_files(path, follow_links=True, without_made=True)
            inside = sorted(walked, key=lambda item: item.path)
            found |= dict.fromkeys(Path(item.path) for item in inside if not item.reason)
            for item in filter(lambda item: item.reason, inside):
                account.leave_out(item.reason, item.path)
        elif path.exists():
            found[path] = None
        else:
            raise TrainingDataError(f"There is no photo and no folder {path}.")
    account.used["", ""] = len(found)
    account.show()
    if not found:
        raise TrainingDataError(
            f"No photo in {account.name}{account.commonest()}; give photos, or folders of them."
        )
    return list(found)


def _is_window(path: str | Path) -> bool:
    """Whether a file or folder is a window, or a folder of them; also one that is gone."""
    whole = Path(os.path.realpath(path))
    return any(holds_windows(os.fspath(folder)) for folder in (whole, *whole.parents))


def _cut_file(
    path: Path, *, out: Path, settings: SoilSettings, done: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """Cut one photo and write its windows; returns the line for the log of what is done.

    The windows are on disk before the line is: a photo that was interrupted is cut once more, to
    the same files.
    """
    try:
        content = read_file(path)
    except OSError as error:
        return _record(path, "", Cut((), (), error.strerror or str(error)))
    digest = hashlib.sha256(content).hexdigest()
    if digest in done:
        return done[digest]
    try:
        photo = load_image(content, Limits(shorter_side=SHORTER_SIDE)).pixels
    except UnreadablePhoto as error:
        return _record(path, digest, Cut((), (), str(error)))
    cut = bare_windows(photo, least_side=settings.least_side, at_most=settings.at_most)
    record = _record(path, digest, cut)
    folder = out / WINDOWS / settings.source
    stem = _shortened(path.stem)
    folder.mkdir(parents=True, exist_ok=True)
    for number, square in enumerate(cut.accepted, start=1):
        name = f"{stem}-{digest[:8]}-{number}.jpg"
        buffer = io.BytesIO()
        # Of the pixels alone: no EXIF, so no place and no name of a farmer.
        Image.fromarray(photo[square.place]).save(buffer, "JPEG", quality=JPEG_QUALITY)
        write_bytes(folder / name, buffer.getvalue())
        record["windows"].append({"file": name, "box": box(square)})
    return record


def _shortened(stem: str) -> str:
    """The beginning of a name that leaves room for more, of whole characters."""
    while len(os.fsencode(stem)) > LONGEST_STEM:
        stem = stem[:-1]
    return stem


def _record(path: Path, digest: str, cut: Cut) -> dict[str, Any]:
    return {
        "origin": str(path.resolve()),
        "sha256": digest,
        "vegetation": cut.vegetation,
        "windows": [],
        "refused": [{"box": box(r.square), "reason": r.reason} for r in cut.refused],
        "reason": cut.reason,
    }


def box(square: Square) -> str:
    """A square as ``left top right bottom`` in pixels of the photo as it was cut."""
    left, top, side = square
    return f"{left} {top} {left + side} {top + side}"


def _origin_rows(
    records: list[dict[str, Any]], out: Path, settings: SoilSettings
) -> Iterator[dict[str, str]]:
    """The windows that are there, each photo's before the photo itself."""
    for record in records:
        common = {
            "source": settings.source,
            "group": record["sha256"],
            "origin": record["origin"],
        }
        cut = 0
        for window in record["windows"]:
            path = Path(WINDOWS, settings.source, window["file"])
            if (out / path).exists():
                cut += 1
                yield {"path": path.as_posix(), "label": "other", "box": window["box"], **common}
        if cut and settings.plants and record["vegetation"] >= LEAST_VEGETATION:
            yield {"path": record["origin"], "label": "plant", "box": "", **common}


def _refused_rows(records: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for record in records:
        if record["reason"]:
            yield {"origin": record["origin"], "box": "", "reason": record["reason"]}
        for window in record["refused"]:
            yield {"origin": record["origin"], **window}


def _summary(records: list[dict[str, Any]], rows: list[dict[str, str]]) -> Negatives:
    refused = Counter(
        window["reason"].partition(" (")[0] for record in records for window in record["refused"]
    )
    labels = Counter(row["label"] for row in rows)
    without = Counter(record["reason"] for record in records if record["reason"])
    return Negatives(len(records), labels["other"], labels["plant"], refused, without)
