"""Open every photo once: its digest, what it looks like, and whether it can be read at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plantood.errors import UnreadablePhoto
from plantood.photo.images import load_image
from plantood.training.photos.data import CLASS_NAMES, SPLITS, BadPhoto, LabelledPhoto
from plantood.training.photos.hashes import LOOK, look_of
from plantood.training.photos.walk import NOWHERE
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track
from plantood.training.rounds.plain import read_file

INDEX = "scanned.jsonl"
DISPUTED = "labelled both plant and other"
SPLIT = "same bytes as another of another split; it is in the first of train, val and test alone"


@dataclass(frozen=True)
class Scanned:
    """What reading a file gave: ``error`` is empty if it is a photo; ``look`` is hexadecimal."""

    sha256: str = ""
    look: str = ""
    error: str = ""


def scan_photos(
    photos: Sequence[LabelledPhoto], cache: Path
) -> tuple[list[LabelledPhoto], list[BadPhoto]]:
    """The photos that can be trained on, each once, with its digest and look; and the rest.

    Left out, with the reason: files that are missing or unreadable, copies of the same bytes (one
    stays, in the first of the splits that any of them names and in all of their groups), and bytes
    that were labelled both plant and other (none stays). What was read is kept in the folder
    ``cache`` by path, size and time of change, so that only new files (and bad ones, which may have
    been repaired) are opened the next time.
    """
    if not photos:
        return [], []
    known = _read_index(cache / INDEX)
    keys = [_key(photo.path) for photo in photos]
    new = list({key: photo.path for key, photo in zip(keys, photos, strict=True) if key}.items())
    new = [(key, path) for key, path in new if key not in known]
    found = map_in_order(lambda item: scan_file(item[1]), new)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / INDEX).open("a", encoding="utf-8") as index:
        for (key, _), result in track(zip(new, found, strict=True), len(new), "Reading photos"):
            known[key] = result
            # One line a photo; a line cut off by a kill does not parse and is scanned again.
            if not result.error:
                index.write(json.dumps([key, result.sha256, result.look]) + "\n")
    return _select(photos, [known[key] if key else None for key in keys])


def scan_file(path: Path) -> Scanned:
    """Read and decode one file as serving does."""
    try:
        content = read_file(path)
        image = load_image(content)
    except UnreadablePhoto as error:
        return Scanned(error=str(error))
    except OSError as error:
        return Scanned(error=error.strerror or str(error))
    return Scanned(hashlib.sha256(content).hexdigest(), look_of(image.pixels).hex())


def _select(
    photos: Sequence[LabelledPhoto], results: Sequence[Scanned | None]
) -> tuple[list[LabelledPhoto], list[BadPhoto]]:
    good: dict[str, LabelledPhoto] = {}
    bad: list[BadPhoto] = []
    disputed: set[str] = set()
    # By path, so that the copy that stays does not depend on the order of the manifest.
    for photo, result in sorted(
        zip(photos, results, strict=True), key=lambda pair: str(pair[0].path)
    ):
        if result is None:
            bad.append(_bad(photo, _why_missing(photo.path), "there is no such file"))
        elif result.error:
            bad.append(_bad(photo, result.error))
        elif (first := good.get(result.sha256)) is not None:
            if first.label != photo.label:
                disputed.add(result.sha256)
                bad.append(_bad(photo, f"{DISPUTED}, also as {first.path}", DISPUTED))
            else:
                bad.append(_copy(photo, first))
                good[result.sha256] = _joined(first, photo)
        else:
            good[result.sha256] = replace(
                photo, sha256=result.sha256, look=bytes.fromhex(result.look)
            )
    for digest in sorted(disputed):
        bad.append(_bad(good.pop(digest), DISPUTED))
    return list(good.values()), bad


def _copy(photo: LabelledPhoto, first: LabelledPhoto) -> BadPhoto:
    """Why a photo is left out whose bytes are there already."""
    reason = f"same bytes as {first.path}"
    if not (first.split and photo.split) or first.split == photo.split:
        return _bad(photo, reason, "same bytes as another")
    stays = _first_split(first, photo)
    return _bad(
        photo,
        f"{reason}, in {photo.split} here and in {first.split} there: it is in {stays}",
        SPLIT,
    )


def _joined(first: LabelledPhoto, copy: LabelledPhoto) -> LabelledPhoto:
    """The photo that stays, with what was said of its copy: what is kept apart stays apart."""
    group, *more = dict.fromkeys((*first.groups, *copy.groups)) or ("",)
    return replace(first, split=_first_split(first, copy), group=group, more_groups=tuple(more))


def _first_split(one: LabelledPhoto, other: LabelledPhoto) -> str | None:
    """Of two that are the same: what is learned from judges nothing."""
    named = (one.split, other.split)
    return next((name for name in dict.fromkeys(SPLITS.values()) if name in named), None)


def _bad(photo: LabelledPhoto, reason: str, kind: str = "") -> BadPhoto:
    return BadPhoto(photo.path, reason, CLASS_NAMES[photo.label], photo.source, kind)


def _why_missing(path: Path) -> str:
    try:
        path.stat()
    except FileNotFoundError:
        return NOWHERE if path.is_symlink() else "there is no such file"
    except OSError as error:
        return NOWHERE if path.is_symlink() else error.strerror or str(error)
    except ValueError as error:  # a null character in the name
        return str(error)
    return "there is no such file"


def _key(path: Path) -> str | None:
    """Name of a file's present content in the index; None if there is no such file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"


def _read_index(index: Path) -> dict[str, Scanned]:
    known: dict[str, Scanned] = {}
    if not index.exists():
        return known
    for line in index.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            key, *values = json.loads(line)
            scanned = Scanned(*values)
        except (ValueError, TypeError):
            continue
        if len(scanned.look) == 2 * LOOK:  # one of another kind is made anew
            known[key] = scanned
    return known
