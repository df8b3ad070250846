"""The web application around the gate: the page, the model, and a completed OpenAPI document."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from plantood.http import openapi
from plantood.http.apps.edge import EdgeApp, EdgeService, http_error

WEB = Path(__file__).parents[1] / "web"


def _inline_script() -> str:
    """The source expression of a content security policy that allows the page's one inline script.

    See https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    (script,) = re.findall(r"<script>(.*?)</script>", (WEB / "index.html").read_text("utf-8"))
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


PAGE_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; script-src 'self' {_inline_script()}; "
    "style-src 'self'; "
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


class PlantGateApp(EdgeApp):
    """The application of `PlantGate`: the page at ``/``, where BentoML has one, too."""

    async def index_page(self, _: Request) -> Response:
        """The page on which a person tries a photo."""
        return FileResponse(WEB / "index.html", headers=PAGE_HEADERS)

    def openapi_document(self) -> dict[str, Any]:
        """BentoML's OpenAPI document, completed."""
        return openapi.complete(super().openapi_document())


class PlantGateService(EdgeService):
    """A BentoML service whose web application is :class:`PlantGateApp`."""

    application = PlantGateApp


async def _model(_: Request) -> Response:
    """The gate model that judges."""
    text = json.dumps(bentoml.get_current_service().describe())
    # a figure that could not be measured is NaN, which is no JSON
    return JSONResponse(json.loads(text, parse_constant=lambda _: None))


def _file(name: str, headers: dict[str, str]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return FileResponse(WEB / name, headers=headers)

    return answer


BESIDE = Starlette(
    routes=[
        Route("/model", _model),
        Route("/docs", _file("docs.html", EXPLORER_HEADERS)),
        Route("/app.js", _file("app.js", PAGE_HEADERS)),
        Route("/theme.css", _file("theme.css", PAGE_HEADERS)),
        Route("/style.css", _file("style.css", PAGE_HEADERS)),
    ],
    exception_handlers={HTTPException: http_error},  # type: ignore[dict-item]  # as in the edge
)
"""What stands beside the APIs of the gate, mounted with them: the model, and the files of pages."""
