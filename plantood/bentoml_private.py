"""All that is used of BentoML's insides, and of uvicorn's, each with the reason.

What BentoML offers publicly is imported from ``bentoml`` where it is needed. The rest stands here
and nowhere else: `PRIVATE` names each piece with what of it is used, and a test looks each of them
up, so that a BentoML that has changed one fails by its name. Names are looked up when they are
first asked for: judging a photo in process needs none of the web application.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BentoMLConfigException

from plantood.errors import PlantoodError

if TYPE_CHECKING:
    import aiohttp
    from _bentoml_impl.client import HTTPClient, RemoteProxy
    from _bentoml_impl.client.proxy2 import AsyncClient
    from _bentoml_impl.serde import Payload, PickleSerde
    from _bentoml_impl.server.app import ServiceAppFactory
    from _bentoml_sdk.io_models import IORootModel, ensure_io_descriptor
    from _bentoml_sdk.method import APIMethod
    from bentoml._internal.bento.build_config import BentoEnvSchema
    from bentoml._internal.configuration.containers import (
        BentoMLContainer,
        _BentoMLContainerClass,
    )
    from bentoml._internal.marshal.dispatcher import Optimizer
    from bentoml._internal.server.http.access import AccessLogMiddleware
    from bentoml._internal.server.http.instruments import RunnerTrafficMetricsMiddleware
    from bentoml._internal.server.http.traffic import MaxConcurrencyMiddleware
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = [
    "APIMethod",
    "AccessLogMiddleware",
    "AsyncClient",
    "BentoEnvSchema",
    "BentoMLContainer",
    "HTTPClient",
    "IORootModel",
    "MaxConcurrencyMiddleware",
    "Optimizer",
    "Payload",
    "PickleSerde",
    "RemoteProxy",
    "RunnerTrafficMetricsMiddleware",
    "ServiceAppFactory",
    "ensure_io_descriptor",
]

OLDEST, NEXT = (1, 4, 39), (1, 5)
"""The versions whose insides these are: from the first one on, and before the second."""


class UnknownBentoML(PlantoodError, BentoMLConfigException):
    """The BentoML that is installed may be another one inside than this package knows."""


@dataclass(frozen=True)
class Piece:
    """Something private: where it lies, what of it is used, and why nothing public does.

    Attributes:
        module: That it is imported from.
        used: Its attributes and methods that are called or overridden; a method with the names of
            its parameters.
        why: What for, and what is lacking in public.
    """

    module: str
    used: tuple[str, ...]
    why: str


PRIVATE = {
    "ServiceAppFactory": Piece(
        "_bentoml_impl.server.app",
        (
            "middlewares",
            "routes",
            "create_instance(app)",
            "metrics(_)",
            "readyz(_)",
            "livez(_)",
            "index_page(_)",
            "openapi_spec_view(req)",
            "api_endpoint(name, request)",
        ),
        "The order of middlewares, and what is done at the start and for each request. Public are "
        "only middlewares inside of BentoML's own, which have read the request by then.",
    ),
    "AccessLogMiddleware": Piece(
        "bentoml._internal.server.http.access", (), "To be told among the middlewares."
    ),
    "RunnerTrafficMetricsMiddleware": Piece(
        "bentoml._internal.server.http.instruments",
        ("__call__(scope, receive, send)",),
        "To be told among the middlewares; its label `endpoint` is the path as asked, so that a "
        "stranger makes as many series as he likes.",
    ),
    "MaxConcurrencyMiddleware": Piece(
        "bentoml._internal.server.http.traffic",
        (),
        "To be told among the middlewares, and replaced: it counts a request from its first byte.",
    ),
    "Optimizer": Piece(
        "bentoml._internal.marshal.dispatcher",
        ("trigger_refresh()",),
        "Batching that waits for no further photos; a setting for it does not exist.",
    ),
    "PickleSerde": Piece(
        "_bentoml_impl.serde",
        ("deserialize_value(payload)",),
        "To tell the calls of other services of the bento, and to read nothing but arrays there.",
    ),
    "Payload": Piece("_bentoml_impl.serde", (), "What such a call carries."),
    "APIMethod": Piece(
        "_bentoml_sdk.method", (), "To refuse @gated above @bentoml.api; nothing public names it."
    ),
    "IORootModel": Piece(
        "_bentoml_sdk.io_models",
        (),
        "To tell outputs that are JSON objects from those that are not.",
    ),
    "ensure_io_descriptor": Piece(
        "_bentoml_sdk.io_models",
        ("(typ_, root_default)",),
        "BentoML's descriptor of a verdict, so that it is answered as any other output is.",
    ),
    "HTTPClient": Piece(
        "_bentoml_impl.client",
        (),
        "To tell a client that calls over HTTP; the public classes are its two subclasses only.",
    ),
    "RemoteProxy": Piece(
        "_bentoml_impl.client", ("to_async",), "What bentoml.depends resolves to."
    ),
    "AsyncClient": Piece(
        "_bentoml_impl.client.proxy2", (), "What bentoml.depends(url=...) calls by."
    ),
    "BentoEnvSchema": Piece(
        "bentoml._internal.bento.build_config",
        (),
        "A variable recorded in the bento by its service; public only in bentofile.yaml.",
    ),
    "BentoMLContainer": Piece(
        "bentoml._internal.configuration.containers",
        (
            "model_store_dir",
            "bentoml_home",
            "prometheus_multiproc_dir",
            "remote_runner_mapping",
            "tracing",
        ),
        "Where BentoML keeps what it keeps, and where each service of the bento answers.",
    ),
}
"""By name, what can be imported from here."""


def __getattr__(name: str) -> Any:
    """A private piece, looked up.

    Raises:
        UnknownBentoML: This BentoML is not known, or has it no more.
    """
    if name not in PRIVATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ensure_known(bentoml.__version__)
    piece = PRIVATE[name]
    try:
        return getattr(import_module(piece.module), name)
    except (ImportError, AttributeError) as error:
        raise UnknownBentoML(
            f"BentoML {bentoml.__version__} has no {piece.module}.{name}, which plantood needs; "
            "install one that it was tested with."
        ) from error


def ensure_known(version: str) -> None:
    """Refuse a BentoML whose insides may be others than those that are used.

    Raises:
        UnknownBentoML: It is older or newer than what this package was tested with.
    """
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if not OLDEST <= numbers < NEXT:
        oldest, limit = (".".join(map(str, bound)) for bound in (OLDEST, NEXT))
        raise UnknownBentoML(
            f"plantood works with BentoML {oldest} to below {limit}, not with {version}: pip "
            f'install "bentoml>={oldest},<{limit}".'
        )


def _container() -> _BentoMLContainerClass:
    container: _BentoMLContainerClass = __getattr__("BentoMLContainer")
    return container


def model_store() -> Path:
    """The folder of the Bento model store, which `bentoml.models` does not name."""
    return Path(_container().model_store_dir.get())


def address_of(service: str) -> str:
    """Where a service of this server answers: ``file://`` and its socket, or ``http://``; or ""."""
    address: str = _container().remote_runner_mapping.get().get(service, "")
    return address


def metrics_folder() -> Path:
    """The folder in which the processes of all servers of a `BENTOML_HOME` count."""
    return Path(_container().bentoml_home.get(), "prometheus_multiproc_dir")


def count_in(folder: Path) -> None:
    """Let this server's processes count in another folder; there is no setting for it."""
    _container().prometheus_multiproc_dir.set(str(folder))


def has_trace_exporter() -> bool:
    """Whether whoever runs this wants traces; BentoML records spans in any case."""
    return bool(_container().tracing.exporter_type.get())


async def session_of(client: Any) -> aiohttp.ClientSession | None:
    """The session by which a proxy calls its service; None for an instance in this process.

    BentoML's own `is_ready` opens one each time and never gives its connection back.
    """
    if not hasattr(client, "_session_manager"):
        return None
    session: aiohttp.ClientSession = await client._session_manager.get_session()
    return session


def serve_by(protocol: type[HttpToolsProtocol]) -> None:
    """Let every uvicorn server that this process starts from now on speak by this protocol.

    The one patch. uvicorn has an option for it, but BentoML, which starts uvicorn, has none: so the
    class takes the place in which uvicorn looks for one when it starts.
    """
    import uvicorn.protocols.http.auto as place

    place.AutoHTTPProtocol = protocol
