"""The folder of one run: what identifies it, and what is finished of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plantood.errors import SettingsError
from plantood.training.files.atomic import write_json
from plantood.training.files.disk import ensure_writable
from plantood.training.process.identity import digest_of
from plantood.training.process.locks import lock


def run_name(data: str | Path, backbone: str, identity: Mapping[str, Any]) -> str:
    """Name of a run that nobody named: the same choices on the same photos give the same name."""
    return f"{short_name(data)}-{backbone}-{digest_of(identity)[:8]}"


def short_name(data: str | Path) -> str:
    """The name of a folder or file without its ending, as part of another name."""
    return Path(data).resolve().stem.encode("utf-8", "replace").decode()


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Create a folder and keep other processes from working in it; a kill lets go of it too.

    Raises:
        SettingsError: Another process is at work in it, or nothing can be written there.
    """
    ensure_writable(folder)
    with (folder / ".lock").open("w") as file:
        if not lock(file, wait=False):
            raise SettingsError(f"Another process is at work in {folder}.")
        yield


@contextmanager
def open_run(folder: Path, identity: Mapping[str, Any]) -> Iterator[Path]:
    """Create the folder of a run, or go on in it if it is the same run; hold it meanwhile.

    Args:
        folder: of the run.
        identity: all that its result depends on, plain values.

    Raises:
        SettingsError: if the folder holds a run with other choices or other photos, or another
            process is at work in it.
    """
    with hold(folder):
        _check_identity(folder, json.loads(json.dumps(identity)))
        yield folder


def _check_identity(folder: Path, identity: dict[str, Any]) -> None:
    file = folder / "run.json"
    if not file.exists():
        write_json(file, identity)
        return
    if changed := differences(json.loads(file.read_text(encoding="utf-8")), identity):
        raise SettingsError(
            f"{folder} holds another run ({changed}); choose another name or folder, or remove "
            "this one."
        )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In words, what two sets of choices differ in; empty if they are the same."""
    return "; ".join(
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    )


def read_json(file: Path, default: Any) -> Any:
    """Content of a JSON file, or ``default`` if there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else default
