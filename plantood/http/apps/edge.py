"""The edge of a service: BentoML's web application, made fit to be called by strangers.

What is bounded here, from the outside in::

    CORS ─► metrics (known paths only) ─► tracing ─► path and headers ─► access log ─► timeout
         ─► places

Where the access log is off, path and headers come last.

Two things more that BentoML's server does otherwise than a gate must: it wraps the message of a 400
in a list and logs a stack trace for it, and it answers 404 and 405 in plain text.

The size and the speed of what arrives are bounded below (protocol) and above
(each API reads its body through uploads).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any

from bentoml import Service, server_context
from bentoml.exceptions import BentoMLException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from plantood.bento.ending import SENTENCES, answer_for_workers, end_the_server
from plantood.bento.errors import SetupError
from plantood.bento.liveness import is_served
from plantood.bentoml_private import (
    SERVE_LOG,
    AccessLogMiddleware,
    MaxConcurrencyMiddleware,
    RunnerTrafficMetricsMiddleware,
    ServiceAppFactory,
    configure,
)
from plantood.errors import SettingsError
from plantood.http.admission import Places, PlainRequests
from plantood.http.protocol import bound_connections
from plantood.http.uploads import refused_upload
from plantood.judging import prometheus
from plantood.refusals import RequestRefused, error
from plantood.settings import Settings

_bentoml_logger = logging.getLogger(SERVE_LOG)

OTHER_PATHS = "other"
"""Label `endpoint` of all paths at which there is nothing; each would be a series of its own."""

_AS_ASKED = "plantood.as_asked"


class EdgeApp(ServiceAppFactory):
    """BentoML's application of one service, with bounds and plain errors."""

    def __init__(self, service: Service[Any], is_main: bool = False) -> None:
        super().__init__(service, is_main=is_main)
        self._known_paths: set[str] = set()

    @property
    def settings(self) -> Settings:
        """Those that the service was made with."""
        settings: Settings = self.service.settings
        return settings

    def __call__(self) -> Starlette:
        """Build the application."""
        app = super().__call__()
        # Starlette's own type is of handlers that take any exception
        app.add_exception_handler(HTTPException, http_error)  # type: ignore[arg-type]
        self._known_paths.update(_paths(app.routes))
        return app

    @property
    def middlewares(self) -> list[Middleware]:
        """BentoML's, in another order, and with some in place of its own."""
        outermost, inner = [], []
        for theirs in super().middlewares:
            if _is(theirs, CORSMiddleware):  # an app elsewhere reads refusals, too
                outermost.append(theirs)
            elif _is(theirs, RunnerTrafficMetricsMiddleware):
                known, options = self._known_paths, theirs.kwargs
                inner.append(Middleware(_KnownPathsMetrics, known=known, options=options))
            elif _is(theirs, MaxConcurrencyMiddleware) and self.max_concurrency:
                inner.append(Middleware(Places, places=self.max_concurrency))
            else:
                inner.append(theirs)
        plain = Middleware(PlainRequests, pickles=not self.is_main)
        position = next((i for i, m in enumerate(inner) if _is(m, AccessLogMiddleware)), len(inner))
        return [*outermost, *inner[:position], plain, *inner[position:]]

    async def create_instance(self, app: Starlette) -> None:
        """Start the service; its metrics, too, if they have a port of their own."""
        prometheus.forget_dead_processes()
        _bentoml_logger.addFilter(_has_no_sentence_of_its_own)
        try:
            port = self.settings.metrics_port
            if port and is_served(self.service.name) and server_context.worker_index in (None, 1):
                prometheus.serve(port)
            await self.create_and_check(app)
        except SENTENCES as error:
            end_the_server(error)
            raise
        _collect_rarely()

    async def create_and_check(self, app: Starlette) -> None:
        """Create the service's object.

        Raises:
            PlantoodError: It cannot work as it is written or set up.
            BentoMLConfigException: The same.
        """
        await super().create_instance(app)

    # BentoML's own is a coroutine too, and its base a plain function
    async def metrics(self, request: Request) -> Response:  # type: ignore[override]
        """BentoML's metrics; nothing where they have a port of their own."""
        if self.settings.metrics_port:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return await super().metrics(request)

    def openapi_document(self) -> dict[str, Any]:
        """The service's OpenAPI document."""
        document: dict[str, Any] = self.service.openapi_spec.asdict()
        return document

    @cached_property
    def _openapi(self) -> bytes:
        """Made once: it takes tens of milliseconds, in which no photo gets on."""
        return bytes(JSONResponse(self.openapi_document()).body)

    async def openapi_spec_view(self, _: Request) -> Response:
        """Answer with the document."""
        return Response(self._openapi, media_type="application/json")

    async def api_endpoint(self, name: str, request: Request) -> Response:
        """Answer an API call; what the caller did wrong is a sentence, not a stack trace."""
        try:
            return await super().api_endpoint(name, request)
        except RequestRefused as refused:
            return refused_upload(refused)
        except BentoMLException as refused:
            if refused.error_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise  # BentoML logs it, and tells the caller nothing of the inside
            return error(str(refused), refused.error_code)
        except HTTPException as refused:  # a form that cannot be parsed
            return error(f"The form cannot be read: {refused.detail}", refused.status_code)
        except ClientDisconnect:
            return error("The upload broke off.", HTTPStatus.BAD_REQUEST)


class EdgeService(Service):  # type: ignore[misc]  # without types, see pyproject.toml
    """A BentoML service whose web application is :class:`EdgeApp`.

    ::

        @bentoml.service(service_class=EdgeService)
        class Detector: ...
    """

    application: type[EdgeApp] = EdgeApp

    def __attrs_post_init__(self) -> None:
        """Read the settings; they say how long a request may take, unless the service itself does.

        Raises:
            SetupError: A setting cannot be used.
        """
        try:
            self.settings = Settings.from_environment()
        except SettingsError as error:  # BentoML's commands print their own kind as one sentence
            raise SetupError(str(error)) from None
        timeout = self.settings.timeout_s
        self.config["traffic"] = {"timeout": timeout, **(self.config.get("traffic") or {})}
        super().__attrs_post_init__()
        answer_for_workers()

    def to_asgi(self, is_main: bool = True) -> Starlette:
        """Build the application of one worker."""
        configure(self)
        bound_connections()
        return self.application(self, is_main=is_main)()


class _KnownPathsMetrics(RunnerTrafficMetricsMiddleware):
    """BentoML's metrics of requests, with one label for all paths at which there is nothing."""

    def __init__(self, app: ASGIApp, known: Container[str], options: dict[str, Any]) -> None:
        async def as_asked(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope.get(_AS_ASKED, scope), receive, send)

        super().__init__(as_asked, **options)
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure a request."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in self._known:
            scope = {**scope, "path": OTHER_PATHS, _AS_ASKED: scope}
        await super().__call__(scope, receive, send)


def _paths(routes: Sequence[BaseRoute], beneath: str = "") -> Iterator[str]:
    """Paths of routes, and of the applications that are mounted among them."""
    for route in routes:
        if isinstance(route, Route):
            yield beneath + route.path
        elif isinstance(route, Mount):
            yield from _paths(route.routes, beneath + route.path)


def _collect_rarely() -> None:
    """Keep Python's garbage collector from looking through all that a started service consists of.

    These are some 120,000 objects, and it takes a tenth of a second in the middle of some request;
    how often, hangs on how many objects a request happens to make: up to 6 % of a gate's time were
    measured. What there is at the start stays, and what requests leave is freed without it, but for
    a few circles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def http_error(request: Request, refused: HTTPException) -> Response:
    """An answer in JSON where BentoML's is plain text."""
    known: dict[int, str] = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}; see /docs.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not answer {request.method}.",
    }
    response = error(known.get(refused.status_code, refused.detail), refused.status_code)
    response.headers.update(refused.headers or {})
    return response


def _is(middleware: Middleware, kind: object) -> bool:
    return middleware.cls is kind


def _has_no_sentence_of_its_own(record: logging.LogRecord) -> bool:
    """Keeps BentoML from logging a stack trace of what is said in one sentence."""
    return not (record.exc_info and isinstance(record.exc_info[1], SENTENCES))
