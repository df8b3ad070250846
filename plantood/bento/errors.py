"""Errors of this package that BentoML takes as its own: its commands print them as one sentence."""

from __future__ import annotations

from bentoml.exceptions import BentoMLConfigException, NotFound

from plantood.errors import GateModelNotFound, PlantoodError


class SetupError(PlantoodError, BentoMLConfigException):
    """A service cannot be made, packed or started: its code, a setting or its gate is wrong."""


class GateModelNotStored(GateModelNotFound, NotFound):
    """The store holds no gate model with the tag that a service names."""
