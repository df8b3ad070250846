"""The starter gate: a small trained gate model inside the package, so that it works at once."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import bentoml

from plantood.defaults import GATE_NAME
from plantood.errors import GateModelCorrupt, GateModelError
from plantood.model.entry import MANIFEST
from plantood.model.manifest import GateManifest
from plantood.model.saving import save_gate
from plantood.model.store import STARTER_VERSION, StoreUnusable, newest_gate, verify_gate

COPY_SECONDS = 5.0
"""How long another process may take to copy the starter."""


def starter_dir() -> Path:
    """Return the directory of the packaged entry, with the files of any entry of the store."""
    return Path(__file__).parent / "gate"


@cache
def starter_backbone() -> str:
    """Return the name of the starter gate's backbone."""
    manifest = (starter_dir() / MANIFEST).read_bytes()
    return GateManifest.model_validate_json(manifest).backbone


def install_starter(name: str = GATE_NAME, *, always: bool = False) -> bentoml.Tag:
    """Put the starter gate into the Bento model store, unless it has a gate of that name.

    Several processes may do so at once; each returns when the entry is complete.

    Args:
        name: Name in the store.
        always: Also if there is another gate of that name.

    Returns:
        The tag of the newest gate of that name: the starter, or what was there. With ``always``,
        that of the starter.

    Raises:
        GateModelCorrupt: The packaged files, or those in the store, are damaged.
    """
    present = newest_gate(name)
    if present is not None and not always:
        newest = bentoml.Tag.from_str(present)
        return _wait_for(newest) if newest.version == STARTER_VERSION else newest
    try:
        return save_gate(starter_dir(), name=name, version=STARTER_VERSION)
    except (GateModelCorrupt, StoreUnusable):
        raise
    except GateModelError:  # another process was faster
        return _wait_for(bentoml.Tag(name, STARTER_VERSION))


def _wait_for(tag: bentoml.Tag) -> bentoml.Tag:
    """Return the tag when its entry verifies: another process may just be copying it."""
    deadline = time.monotonic() + COPY_SECONDS
    while True:
        try:
            verify_gate(tag)
            return tag
        except GateModelError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
