"""Gate models into the Bento model store, each whole or not at all. Imports no TensorFlow.

Written as `bentoml.models.create` writes, so that BentoML's own `bentoml models list`, `get`,
`export`, `import` and `delete` work on gate models as on any other.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException

from plantood.bentoml_private import create_in
from plantood.defaults import GATE_NAME, MADE_BY
from plantood.errors import GateModelError
from plantood.model.entry import KERAS, MANIFEST, GateModel, open_gate, sha256
from plantood.model.manifest import GateManifest
from plantood.model.store import (
    KIND,
    RECORD,
    StoreUnusable,
    store_dir,
    usable_store,
    verify_gate,
)
from plantood.tags import tag_of

_STAGING = "plantood-saving"
"""Folder beside the store in which an entry is made, of one file system with it if that may be."""
_ABANDONED_S = 24 * 3600
"""Nothing is made for so long: whoever began it was killed."""


def save_gate(
    directory: str | Path, *, name: str = GATE_NAME, version: str | None = None
) -> bentoml.Tag:
    """Put an entry into the Bento model store, whole: whoever is killed leaves nothing there.

    Args:
        directory: An entry, completed by `write_entry`.
        name: Name in the store.
        version: Version in the store; default ``BACKBONE-HEAD-`` and BentoML's unique suffix, so
            that `bentoml models list` says what each is.

    Returns:
        The tag, name and version.

    Raises:
        GateModelCorrupt: A file differs from its digest.
        GateModelError: The store has this tag already, or refuses it, or cannot be written, or it
            is no tag, or the entry is a copy for serving only.
    """
    wanted = tag_of(f"{name}:{version}" if version else name)
    if version and _in_store(wanted):  # before all files are hashed
        raise GateModelError(f"The store has {wanted} already; give another version or delete it.")
    source = open_gate(directory)
    files = {name: source.path / name for name in (*source.manifest.files, MANIFEST)}
    files[KERAS] = source.keras_path
    tag = wanted if version else _new_tag(name, source.manifest)
    manifest = source.manifest
    with _staging() as staging:
        made = None
        try:
            with create_in(
                staging,
                tag,
                module=MADE_BY,
                labels={**KIND, "backbone": manifest.backbone, "head": manifest.head},
                metadata=_record_of(source),
            ) as entry:
                made = Path(entry.path)
                for file, path in files.items():
                    shutil.copyfile(path, made / file)
        except BentoMLException as error:
            raise GateModelError(f"BentoML could not save {tag}: {error}") from error
        finally:
            if made is not None:  # BentoML leaves it behind
                shutil.rmtree(made, ignore_errors=True)
        _put(staging / tag.name / str(tag.version), tag)
    _name_latest(tag)
    return tag


@contextmanager
def _staging() -> Iterator[Path]:
    """A folder beside the store, for an entry to be made in; those of killed processes go."""
    beside = store_dir().parent / _STAGING
    with usable_store():
        beside.mkdir(parents=True, exist_ok=True)
    for left in beside.iterdir():
        with suppress(FileNotFoundError):  # another process was faster
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        yield Path(folder)


def _put(entry: Path, tag: bentoml.Tag) -> None:
    """Put a whole entry into the store in one step; whoever looks sees all of it, or nothing.

    Raises:
        GateModelError: The store has this tag already.
    """
    place = _place(tag)
    with usable_store():
        place.parent.mkdir(parents=True, exist_ok=True)
    try:
        entry.rename(place)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise GateModelError(f"The store has {tag} already; give another version.") from error
        if error.errno != errno.EXDEV:
            raise
        _copy(entry, place)  # the store is another file system than what is beside it


def _copy(entry: Path, place: Path) -> None:
    """Copy an entry; only its record, which comes last, makes a folder one."""
    try:
        shutil.copytree(entry, place, ignore=shutil.ignore_patterns(RECORD))
        shutil.copyfile(entry / RECORD, place / f"{RECORD}.new")
        (place / f"{RECORD}.new").rename(place / RECORD)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _place(tag: bentoml.Tag) -> Path:
    return store_dir() / tag.name / str(tag.version)


def _name_latest(tag: bentoml.Tag) -> None:
    """Tell BentoML of a new entry that it is the latest, unless a newer one is."""
    created = bentoml.models.get(tag).creation_time
    try:
        newest = bentoml.models.get(tag.name).creation_time
    except Exception:  # that one was cut off by a kill, and each parser raises its own kind
        newest = created
    if created >= newest:
        _place(tag).with_name("latest").write_text(str(tag.version))


def finish_save(tag: bentoml.Tag) -> bool:
    """Make good what a kill in the middle of `save_gate` left behind.

    Where an entry is copied into the store, a kill leaves some of its files: they are removed, so
    that the tag is free. A kill after that leaves an older entry as the latest: the newest becomes
    it.

    Returns:
        Whether the store has exactly this gate model, whole.

    Raises:
        StoreUnusable: the store cannot be read, by which nothing is said of what is in it.
    """
    place = _place(tag)
    if not place.is_dir():
        return False
    try:
        verify_gate(tag)
    except StoreUnusable:
        raise
    except GateModelError:
        shutil.rmtree(place)
        return False
    _name_latest(tag)
    return True


def _record_of(gate: GateModel) -> dict[str, Any]:
    manifest = gate.manifest
    known = {
        "metrics": manifest.metrics_summary,
        "plant_threshold": manifest.policy.plant_threshold,
        "input_size": manifest.input_size,
        "quantization": manifest.quantization,
        "parent": manifest.parent,
        "classes": manifest.classes,
        "manifest_sha256": sha256(gate.path / MANIFEST),
    }
    return {key: value for key, value in known.items() if value is not None}  # BentoML has no None


def _new_tag(name: str, manifest: GateManifest) -> bentoml.Tag:
    unique = bentoml.Tag(name, None).make_new_version().version
    return bentoml.Tag(name, f"{manifest.backbone}-{manifest.head}-{unique}")


def _in_store(tag: bentoml.Tag) -> bool:
    try:
        return bentoml.models.get(tag).tag == tag  # BentoML also finds unique prefixes
    except BentoMLException:
        return False
