"""What ``bentoml serve`` and ``bentoml build`` find at the top; the service is in the package."""

from __future__ import annotations

from plantood.bento.packing import record_gate
from plantood.service import PlantGate

__all__ = ["PlantGate"]

record_gate(PlantGate)
