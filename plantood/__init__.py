"""plantood: a gate that says `accept` or `retake` before a plant-disease detector sees a photo.

::

    from plantood import Gate

    verdict = Gate.load().check("leaf.jpg")
    if not verdict.accepted:
        print(verdict.reasons[0].message)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plantood.bento.errors import SetupError
    from plantood.errors import (
        GateModelCorrupt,
        GateModelError,
        GateModelNotFound,
        PhotoFileError,
        PhotoNotFound,
        PhotoTooLarge,
        PlantoodError,
        SettingsError,
        UnreadablePhoto,
    )
    from plantood.judging.failures import GateUnavailable
    from plantood.judging.gate import Gate
    from plantood.model.parts.neighbours import Neighbour
    from plantood.model.runtime import usable_cpus
    from plantood.model.starter import starter_dir
    from plantood.photo.images import Limits, LoadedImage, load_image, to_model_input
    from plantood.verdict import Reason, ReasonCode, Verdict

__version__ = "0.1.0"

_HOMES = {
    "Gate": "plantood.judging.gate",
    "GateModelCorrupt": "plantood.errors",
    "GateModelError": "plantood.errors",
    "GateModelNotFound": "plantood.errors",
    "GateUnavailable": "plantood.judging.failures",
    "Limits": "plantood.photo.images",
    "LoadedImage": "plantood.photo.images",
    "Neighbour": "plantood.model.parts.neighbours",
    "PhotoFileError": "plantood.errors",
    "PhotoNotFound": "plantood.errors",
    "PhotoTooLarge": "plantood.errors",
    "PlantoodError": "plantood.errors",
    "Reason": "plantood.verdict",
    "ReasonCode": "plantood.verdict",
    "SettingsError": "plantood.errors",
    "SetupError": "plantood.bento.errors",
    "UnreadablePhoto": "plantood.errors",
    "Verdict": "plantood.verdict",
    "load_image": "plantood.photo.images",
    "starter_dir": "plantood.model.starter",
    "to_model_input": "plantood.photo.images",
    "usable_cpus": "plantood.model.runtime",
}

__all__ = [
    "Gate",
    "GateModelCorrupt",
    "GateModelError",
    "GateModelNotFound",
    "GateUnavailable",
    "Limits",
    "LoadedImage",
    "Neighbour",
    "PhotoFileError",
    "PhotoNotFound",
    "PhotoTooLarge",
    "PlantoodError",
    "Reason",
    "ReasonCode",
    "SettingsError",
    "SetupError",
    "UnreadablePhoto",
    "Verdict",
    "load_image",
    "starter_dir",
    "to_model_input",
    "usable_cpus",
]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: importing plantood costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
