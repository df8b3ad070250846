"""The gate that a command is asked for by its tag."""

from __future__ import annotations

from plantood.defaults import GATE_NAME
from plantood.model.entry import GateModel
from plantood.model.starter import install_starter
from plantood.model.store import STARTER_VERSION, load_gate
from plantood.settings import Settings


def find_gate(tag: str) -> GateModel:
    """A gate model of the store; the starter is put there if it is named, or all that could be.

    Raises:
        GateModelNotFound: The store has no such model.
        GateModelError: It is damaged, or another one is pinned.
        SettingsError: A variable ``PLANTOOD_*`` cannot be used.
    """
    name, _, version = tag.partition(":")
    if name == GATE_NAME and version in ("", "latest", STARTER_VERSION):
        install_starter(name, always=version == STARTER_VERSION)
    return load_gate(tag, pin=Settings.from_environment().gate_sha256)
