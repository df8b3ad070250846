"""A service with the gate in front, as strangers may call it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from http import HTTPStatus
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount

from plantood.bento.errors import SetupError
from plantood.bentoml_private import APIMethod, forget_results, has_results, prepare_results
from plantood.compose.front import Front
from plantood.compose.gate import ComposedGate
from plantood.compose.gates import ServiceGates, fronts_of
from plantood.compose.method.request import GatedInput
from plantood.defaults import GATE_SERVICE, SCORER_SERVICE
from plantood.http.admission import PICKLE, Places
from plantood.http.apps.bodies import BoundedApp, Submitted, Whole, files_of
from plantood.http.apps.edge import EdgeApp, EdgeService
from plantood.http.openapi import Gated, complete_gated
from plantood.http.protocol import CONNECTIONS
from plantood.http.uploads import refused_upload
from plantood.refusals import RequestRefused, error

logger = logging.getLogger("bentoml.plantood")

GATES = (GATE_SERVICE, SCORER_SERVICE)
"""Services that are asked whether they can judge, and not whether a connection can be opened."""

TASKS = CONNECTIONS
"""That a worker has in hand at a time, where the service has no `max_concurrency`. A task is still
there when its connection has its answer, so that nothing else counts them."""


class GatedApp(EdgeApp):
    """The application of a service with gated methods: its probes ask the gates in front of them.

    A service that has an ``__is_ready__`` or ``__is_alive__`` of its own decides by itself.
    What `@gated` does not read has the bounds of photos, too: see `plantood.http.apps.bodies`.
    """

    def __call__(self) -> Starlette:
        """Build the application."""
        app = super().__call__()
        for route in app.routes:
            if isinstance(route, Mount):
                # not its `app`, by whose type BentoML tells which paths are there
                route.handle = BoundedApp(route.handle, self.settings)  # type: ignore[method-assign]
        return app

    @property
    def middlewares(self) -> list[Middleware]:
        """The edge's, and places for tasks."""
        edge = super().middlewares
        if self.max_concurrency or not any(api.is_task for api in self.service.apis.values()):
            return edge
        return [*edge, Middleware(Places, places=TASKS)]

    async def create_and_check(self, app: Starlette) -> None:
        """Create the service's object, and make what is kept of its tasks fit to be bounded."""
        await super().create_and_check(app)
        if has_results(self):
            try:
                await prepare_results(self)
            except sqlite3.Error as failed:  # whatever it is, tasks alone suffer from it
                logger.warning("Tasks may be slow, or fail: %s", failed)

    async def api_endpoint(self, name: str, request: Request) -> Response:
        """Answer an API call."""
        if not self._is_bounded(name, request):
            request = self._whole(name, request)
        return await super().api_endpoint(name, request)

    async def submit_task(self, name: str, request: Request) -> Response:
        """Begin a task, or refuse its request, as the call itself would."""
        if self._is_of_the_bento(request):
            return await super().submit_task(name, request)
        spec = self.service.apis[name].input_spec
        try:
            if issubclass(spec, GatedInput):
                request = await spec.read_ahead(request)
            else:
                request = whole = self._whole(name, request)
                await whole.arrive()
        except RequestRefused as refused:
            return refused_upload(refused)
        except ClientDisconnect:
            return error("The upload broke off.", HTTPStatus.BAD_REQUEST)
        return await super().submit_task(name, Submitted(request))

    async def retry_task(self, request: Request) -> Response:
        """Refuse: there is nothing left of what was sent."""
        sentence = "What a task was sent is not kept; submit it again."
        return error(sentence, HTTPStatus.GONE)

    async def _run_task(self, task_id: str, name: str, request: Request) -> None:
        """Run a task; its result takes the place of the oldest, if there is no room for all."""
        await super()._run_task(
            task_id, name, request.whole if isinstance(request, Submitted) else request
        )
        try:
            await forget_results(self, self.settings.max_uploads_bytes)
        except sqlite3.Error as failed:  # the disk is full, or another worker writes for long
            logger.warning("Old results of tasks stay: %s", failed)

    def _is_bounded(self, name: str, request: Request) -> bool:
        """Whether a request's body has its bounds already, or needs none."""
        return (
            issubclass(self.service.apis[name].input_spec, GatedInput)
            or isinstance(request, Whole)
            or self._is_of_the_bento(request)
        )

    def _is_of_the_bento(self, request: Request) -> bool:
        """Whether another service of the bento calls; from outside the edge takes no such type."""
        return not self.is_main and request.headers.get("content-type") == PICKLE

    def _whole(self, name: str, request: Request) -> Whole:
        files = files_of(self.service.apis[name].input_spec, self.settings)
        return Whole(request, self.settings, files)

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
