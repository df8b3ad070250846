"""The web application around the gate: BentoML's own, with plain errors, the page and the model.

Three things that BentoML's HTTP server does otherwise than a gate must: it wraps the message of a
400 in a list and logs a stack trace for it, it answers 404 and 405 in plain text, and it shows
its API explorer at ``/``.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk import Service
from bentoml.exceptions import BentoMLException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from . import openapi
from .http_io import RequestRefused, error

WEB = Path(__file__).parent / "web"

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
EXPLORER_HEADERS = PAGE_HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}


class GateApp(ServiceAppFactory):
    """BentoML's application of one service, with the routes and errors of the gate."""

    def __call__(self) -> Starlette:
        """Build the application."""
        app = super().__call__()
        app.add_exception_handler(HTTPException, _http_error)
        return app

    @property
    def routes(self) -> list[BaseRoute]:
        """BentoML's routes, the model, and the page's files."""
        return [
            *super().routes,
            Route("/model", self.model, methods=["GET"]),
            Route("/docs", _file("docs.html", EXPLORER_HEADERS), methods=["GET"]),
            Route("/app.js", _file("app.js", PAGE_HEADERS), methods=["GET"]),
            Route("/theme.css", _file("theme.css", PAGE_HEADERS), methods=["GET"]),
            Route("/style.css", _file("style.css", PAGE_HEADERS), methods=["GET"]),
        ]

    async def index_page(self, _: Request) -> Response:
        """The page on which a person tries a photo."""
        return FileResponse(WEB / "index.html", headers=PAGE_HEADERS)

    async def model(self, _: Request) -> Response:
        """The gate model that judges."""
        text = json.dumps(self._service_instance.describe())
        # a figure that could not be measured is NaN, which is no JSON
        return JSONResponse(json.loads(text, parse_constant=lambda _: None))

    async def openapi_spec_view(self, _: Request) -> Response:
        """BentoML's OpenAPI document, completed."""
        return JSONResponse(openapi.complete(self.service.openapi_spec.asdict()))

    async def api_endpoint(self, name: str, request: Request) -> Response:
        """Answer an API call; what the caller did wrong is a sentence, not a stack trace."""
        try:
            return await super().api_endpoint(name, request)
        except BentoMLException as refused:
            if refused.error_code >= 500 and not isinstance(refused, RequestRefused):
                raise  # BentoML logs it, and tells the caller nothing of the inside
            return error(str(refused), refused.error_code)
        except HTTPException as refused:  # a form that cannot be parsed
            return error(f"The form cannot be read: {refused.detail}", refused.status_code)
        except ClientDisconnect:
            return error("The upload broke off.", HTTPStatus.BAD_REQUEST)


class GateService(Service):
    """A BentoML service whose web application is :class:`GateApp`."""

    def to_asgi(self, is_main: bool = True) -> Starlette:
        """Build the application of one worker."""
        self.inject_config()
        return GateApp(self, is_main=is_main)()


async def _http_error(request: Request, refused: HTTPException) -> Response:
    known = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}; see /docs.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not answer {request.method}.",
    }
    response = error(known.get(refused.status_code, refused.detail), refused.status_code)
    response.headers.update(refused.headers or {})
    return response


def _file(name: str, headers: dict[str, str]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return FileResponse(WEB / name, headers=headers)

    return answer
