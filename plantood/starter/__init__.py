"""The starter gate: a small trained gate model inside the package, so that it works at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import bentoml

from plantood.errors import GateModelError
from plantood.model.entry import MANIFEST, GateManifest
from plantood.model.store import DEFAULT_NAME, list_gates, save_gate

VERSION = "starter"


def starter_dir() -> Path:
    """Return the directory of the packaged entry, with the files of any entry of the store."""
    return Path(__file__).parent / "gate"


@cache
def starter_backbone() -> str:
    """Return the name of the starter gate's backbone."""
    manifest = (starter_dir() / MANIFEST).read_bytes()
    return GateManifest.model_validate_json(manifest).backbone


def install_starter(name: str = DEFAULT_NAME) -> bentoml.Tag:
    """Put the starter gate into the Bento model store, unless it has a gate of that name.

    Returns:
        The tag of the newest gate of that name: the starter, or what was there.

    Raises:
        GateModelCorrupt: The packaged files are damaged.
    """
    if present := list_gates(name):
        return bentoml.Tag.from_str(present[0].tag)
    try:
        return save_gate(starter_dir(), name=name, version=VERSION)
    except GateModelError:
        if present := list_gates(name):  # another process was faster
            return bentoml.Tag.from_str(present[0].tag)
        raise
