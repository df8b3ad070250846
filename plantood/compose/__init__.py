"""Put the gate in front of your own service.

::

    @bentoml.service(service_class=GatedService)
    class Detector:
        gate = bentoml.depends(PlantScorer)  # or depends(PlantGate), or depends(url="http://...")

        @bentoml.api
        @gated
        def diagnose(self, image: PIL.Image.Image) -> Diagnosis:
            ...  # only photos that the gate accepted come here

Whatever ``gate`` is, it is asked through one :class:`ComposedGate`, which also decides what becomes
of a photo if the gate fails. ``docs/compose.md`` shows six ways to have a gate.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plantood.compose.gate import ComposedGate
from plantood.compose.gated import gated
from plantood.compose.remote import RemoteGate
from plantood.compose.service import GatedService
from plantood.judging.failures import GateUnavailable
from plantood.verdict import Reason, ReasonCode, Verdict

if TYPE_CHECKING:
    from plantood.bento.gate_reference import gate_model
    from plantood.bento.packing import record_gate
    from plantood.compose.runner import gate_runner
    from plantood.service import PlantGate, PlantScorer

__all__ = [
    "ComposedGate",
    "GateUnavailable",
    "GatedService",
    "PlantGate",
    "PlantScorer",
    "Reason",
    "ReasonCode",
    "RemoteGate",
    "Verdict",
    "gate_model",
    "gate_runner",
    "gated",
    "record_gate",
]

_HOMES = {
    "PlantGate": "plantood.service",
    "PlantScorer": "plantood.service",
    "gate_model": "plantood.bento.gate_reference",
    "gate_runner": "plantood.compose.runner",
    "record_gate": "plantood.bento.packing",
}


def __getattr__(name: str) -> Any:
    """Import the services and the legacy runner when they are used: not every service has them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
