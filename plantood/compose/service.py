"""A service with the gate in front, as strangers may call it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import bentoml
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from plantood.bento.errors import SetupError
from plantood.bentoml_private import APIMethod
from plantood.compose.front import Front
from plantood.compose.gate import ComposedGate
from plantood.compose.gates import ServiceGates, fronts_of
from plantood.defaults import GATE_SERVICE, SCORER_SERVICE
from plantood.http.apps.edge import EdgeApp, EdgeService
from plantood.http.openapi import Gated, complete_gated

GATES = (GATE_SERVICE, SCORER_SERVICE)
"""Services that are asked whether they can judge, and not whether a connection can be opened."""


class GatedApp(EdgeApp):
    """The application of a service with gated methods: its probes ask the gates in front of them.

    A service that has an ``__is_ready__`` or ``__is_alive__`` of its own decides by itself.
    """

    async def readyz(self, request: Request) -> Response:
        """200 if the gates can judge, and what else the service depends on can be reached."""
        if hasattr(self.service.inner, "__is_ready__"):
            return await super().readyz(request)
        gates = await self._gates()
        if not all(await asyncio.gather(*(gate.is_ready() for gate in gates))):
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "The gate cannot judge now.")
        needed = [dependency.on for dependency in self.service.dependencies.values()]
        if all(service is not None and service.name in GATES for service in needed):
            return PlainTextResponse("\n")
        return await super().readyz(request)

    async def livez(self, request: Request) -> Response:
        """503 if only a restart can help."""
        gates = [] if hasattr(self.service.inner, "__is_alive__") else await self._gates()
        if not all(gate.is_alive() for gate in gates):
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "A decoding thread hangs.")
        return await super().livez(request)

    def openapi_document(self) -> dict[str, Any]:
        """BentoML's OpenAPI document, completed by what the gate may answer."""
        gated = {
            route: Gated(_has_several(front), front.retake_status)
            for route, front in fronts_of(self.service).items()
        }
        return complete_gated(super().openapi_document(), gated)

    async def _gates(self) -> list[ComposedGate]:
        """Those in front of the service's methods."""
        return await ServiceGates.of(bentoml.get_current_service()).all()


class GatedService(EdgeService):
    """A BentoML service with gated methods, bounded as `PlantGate` is, and ready when its gate is.

    ::

        @bentoml.service(service_class=GatedService)
        class Detector:
            gate = bentoml.depends(PlantScorer)
    """

    application = GatedApp

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a user's service that inherits from this class.

        Raises:
            SetupError: The class has an API.
        """
        super().__init_subclass__(**options)
        if any(isinstance(member, APIMethod) for member in vars(cls).values()):
            raise SetupError(
                f"{cls.__name__} inherits from GatedService; write "
                f"@bentoml.service(service_class=GatedService) above class {cls.__name__}, which "
                "inherits from nothing."
            )


def _has_several(front: Front) -> bool:
    return front.signature.many or len(front.signature.photos) > 1
