"""The gate that a command is asked for by its tag."""

from __future__ import annotations

from plantood.bento.gate_reference import gate_of
from plantood.model.entry import GateModel
from plantood.settings import Settings


def find_gate(tag: str) -> GateModel:
    """A gate model of the store; the starter is put there if it is named, or all that could be.

    Raises:
        GateModelNotFound: The store has no such model.
        GateModelError: It is damaged, another one is pinned, or the store cannot be used.
        SettingsError: A variable ``PLANTOOD_*`` cannot be used.
    """
    return gate_of(Settings.from_environment(), tag)
