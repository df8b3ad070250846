"""Gate models in the Bento model store: found, listed and read. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLConfigException, NotFound

from plantood.bentoml_private import model_store
from plantood.defaults import DEFAULT_GATE, GATE_NAME
from plantood.errors import GateModelError, GateModelNotFound
from plantood.model.entry import CORRECTION, MANIFEST, GateModel, corrupt, open_gate, sha256
from plantood.settings import variable
from plantood.tags import LATEST, tag_of

STARTER_VERSION = "starter"
"""Version of the gate that ships. It is never the latest beside another one, whenever either came
into the store: whoever has a gate of their own means that."""
SHA256_VARIABLE = variable("gate_sha256")
"""Environment variable with the SHA-256 of the ``gate.json`` that may judge; empty: any may."""
KIND = {"kind": GATE_NAME}
"""Label of an entry that is a gate model."""
NAMED = 5
"""Gates that a sentence names, the newest, of those that there are."""
RECORD = "model.yaml"
"""BentoML's record of an entry."""


@dataclass(frozen=True)
class GateSummary:
    """One line of a listing, read without verifying the files."""

    tag: str
    created: datetime
    backbone: str
    head: str
    quantization: str | None
    parent: str | None
    metrics: dict[str, float]
    bytes: int
    adapted: bool
    """Whether it has a correction, by `plantood adapt`."""


class StoreUnusable(GateModelError, BentoMLConfigException):
    """The Bento model store cannot be read or written; BentoML's commands print the sentence."""


@contextmanager
def usable_store() -> Iterator[None]:
    """Say in one sentence what would otherwise be a stack trace out of BentoML.

    Raises:
        StoreUnusable: The Bento model store cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error
        raise StoreUnusable(
            f"The Bento model store cannot be used ({why}); set BENTOML_HOME to a folder that you "
            "may read and write."
        ) from error


def store_dir() -> Path:
    """The Bento model store."""
    return model_store()


def load_gate(tag: str | bentoml.Tag = DEFAULT_GATE, *, pin: str | None = None) -> GateModel:
    """Read and verify a gate model of the Bento model store, to judge by it.

    Args:
        tag: ``name:version``, ``name:latest`` or ``name``.
        pin: SHA-256 that its ``gate.json`` must have, as `Settings.gate_sha256` has it; None: any.
            The digests within an entry show that it is whole, not whose it is; this one does.

    Raises:
        GateModelNotFound: The store has no such model.
        GateModelCorrupt: A file is missing or differs from its digest; the message names it.
        GateModelError: It is whole, but another one is pinned; or ``tag`` is none.
    """
    gate = verify_gate(tag)
    if pin:
        _ensure_pinned(gate, pin.lower().removeprefix("sha256:"))
    return gate


def newest_gate(name: str = GATE_NAME) -> str | None:
    """Tag of the gate model that ``name:latest`` means; None if the store has none of that name."""
    gates = list_gates(name)
    own = [gate for gate in gates if not gate.tag.endswith(f":{STARTER_VERSION}")]
    return (own or gates)[0].tag if gates else None


@usable_store()
def verify_gate(tag: str | bentoml.Tag) -> GateModel:
    """Read and verify a gate model of the Bento model store, whichever one is pinned.

    Args:
        tag: ``name:version``, ``name:latest`` or ``name``.

    Raises:
        GateModelNotFound: The store has no such model.
        GateModelCorrupt: A file is missing or differs from its digest; the message names it.
        GateModelError: It is no tag, or BentoML's record of the model is damaged.
    """
    wanted = tag_of(tag)
    newest = newest_gate(wanted.name) if wanted.version == LATEST else None
    try:
        model = bentoml.models.get(newest or wanted)
    except NotFound as error:
        raise GateModelNotFound(not_stored(tag)) from error
    except Exception as error:  # of a record that a kill cut off, each parser raises its own kind
        raise GateModelError(f"BentoML could not read {tag}: {error}") from error
    if model.info.labels.get("kind") != KIND["kind"]:
        raise GateModelNotFound(
            f"{model.tag} is a model of {model.info.module or 'another kind'}, not a gate; gates "
            f"in the store: {_known()}."
        )
    path = Path(model.path)
    # BentoML's own record of the entry holds the digest of the manifest, which holds the others'.
    expected = model.info.metadata.get("manifest_sha256")
    if (path / MANIFEST).is_file() and sha256(path / MANIFEST) != expected:
        raise corrupt(path / MANIFEST, "differs from the digest written when it was saved")
    return open_gate(path, str(model.tag))


def not_stored(tag: str | bentoml.Tag) -> str:
    """That the store has no gate model of this tag, and what to do, in two sentences."""
    return (
        f"The Bento model store has no gate model {tag} (gates there: {_known()}). Name another, "
        "import one (bentoml models import FILE), or train one; where neither --gate nor "
        f"{variable('gate')} names any, the starter gate is installed."
    )


def _known() -> str:
    tags = [gate.tag for gate in list_gates()]
    more = f" and {len(tags) - NAMED} more" if len(tags) > NAMED else ""
    return (", ".join(tags[:NAMED]) or "none") + more


def damage(tag: str | bentoml.Tag) -> str | None:
    """What is wrong with a gate model of the store, in one sentence; None if it verifies."""
    try:
        verify_gate(tag)
    except GateModelError as error:
        return str(error)
    return None


def _ensure_pinned(gate: GateModel, pin: str) -> None:
    if (found := sha256(gate.path / MANIFEST)) != pin:
        raise GateModelError(
            f"{gate.tag} is not the gate model that {SHA256_VARIABLE} pins: the SHA-256 of its "
            f"{MANIFEST} is {found}, not {pin}; name the pinned one in {variable('gate')}, or, if "
            "this one is meant, pin it (a bento pins the gate that it packs: who names another one "
            "there has to pin it too)."
        )


@usable_store()
def list_gates(name: str | None = None) -> list[GateSummary]:
    """List the gate models of the Bento model store, newest first, without reading their files.

    Args:
        name: Only those of this name; default all.
    """
    gates = []
    # Not `bentoml.models.list`: it fails as a whole while another process is saving a model, and
    # for ever after one was killed doing so.
    for record in store_dir().glob(f"{name or '*'}/*/{RECORD}"):
        try:
            model = bentoml.models.get(f"{record.parent.parent.name}:{record.parent.name}")
        except Exception:  # cut off by a kill, it is no YAML, or no record, or half of one
            continue
        info = model.info
        metadata: dict[str, Any] = {**info.metadata}
        if info.labels.get("kind") != KIND["kind"]:
            continue
        gates.append(
            GateSummary(
                tag=str(model.tag),
                created=info.creation_time,
                backbone=info.labels["backbone"],
                head=info.labels["head"],
                quantization=metadata.get("quantization"),
                parent=metadata.get("parent"),
                metrics=dict(metadata["metrics"]),
                bytes=sum(f.stat().st_size for f in Path(model.path).iterdir() if f.is_file()),
                adapted=Path(model.path, CORRECTION).is_file(),
            )
        )
    return sorted(gates, key=lambda gate: gate.created, reverse=True)
