"""All that is used of BentoML's insides, and of uvicorn's.

What BentoML documents is imported from ``bentoml`` where it is needed. The rest stands here, and in
`plantood.bentoml_private.tables` with the reason. Other modules subclass what is in the table;
whatever reaches further into an object of BentoML's, or changes one, is a function here. Names are
looked up when they are first asked for: judging a photo in process needs none of the web
application.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BentoMLConfigException

from plantood.bentoml_private.tables import PRIVATE
from plantood.errors import PlantoodError

if TYPE_CHECKING:
    import aiohttp
    from _bentoml_impl.serde import PickleSerde
    from _bentoml_impl.server.app import ServiceAppFactory
    from _bentoml_sdk.io_models import IORootModel, ensure_io_descriptor
    from _bentoml_sdk.method import APIMethod
    from bentoml._internal.bento.build_config import BentoEnvSchema
    from bentoml._internal.configuration.containers import _BentoMLContainerClass
    from bentoml._internal.marshal.dispatcher import CorkDispatcher
    from bentoml._internal.server.http.access import AccessLogMiddleware
    from bentoml._internal.server.http.instruments import RunnerTrafficMetricsMiddleware
    from bentoml._internal.server.http.traffic import MaxConcurrencyMiddleware
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = [
    "APIMethod",
    "AccessLogMiddleware",
    "BentoEnvSchema",
    "IORootModel",
    "MaxConcurrencyMiddleware",
    "PickleSerde",
    "RunnerTrafficMetricsMiddleware",
    "ServiceAppFactory",
    "ensure_io_descriptor",
]

OLDEST, NEXT = (1, 4, 39), (1, 5)
"""The versions whose insides these are: from the first one on, and before the second."""


class UnknownBentoML(PlantoodError, BentoMLConfigException):
    """The BentoML that is installed may be another one inside than this package knows."""


SERVE_LOG = "bentoml.serve"
SOCKET_FOLDERS = "bentoml-uds-*"


def __getattr__(name: str) -> Any:
    """A private piece, looked up.

    Raises:
        UnknownBentoML: This BentoML is not known, or has it no more.
    """
    if name not in PRIVATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _piece(name)


def _piece(name: str) -> Any:
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
    container: _BentoMLContainerClass = _piece("BentoMLContainer")
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


def counting_folder() -> Path:
    """The folder in which this server's processes count."""
    return Path(_container().prometheus_multiproc_dir.get())


def count_in(folder: Path) -> None:
    """Let this server's processes count in another folder; there is no setting for it."""
    _container().prometheus_multiproc_dir.set(str(folder))


def has_trace_exporter() -> bool:
    """Whether whoever runs this wants traces; BentoML records spans in any case."""
    return bool(_container().tracing.exporter_type.get())


def configure(service: Any) -> None:
    """Put a service's configuration in force, as BentoML does before it builds its application."""
    service.inject_config()


def object_of(app: ServiceAppFactory) -> Any:
    """The service's object, in an application that has started."""
    assert app._service_instance is not None  # requests come once it is made
    return app._service_instance


def never_wait(dispatchers: Iterable[CorkDispatcher[Any, Any]]) -> None:
    """Let no dispatcher hold a lone request back for as long as requests waited a while ago.

    It still learns from past batches how long the next one will take. A patch of each object: the
    class is shared with services that are not ours.
    """
    for dispatcher in dispatchers:
        optimizer = dispatcher.optimizer
        learn = optimizer.trigger_refresh

        def refresh(optimizer: Any = optimizer, learn: Any = learn) -> None:
            learn()
            optimizer.wait = 0

        optimizer.trigger_refresh = refresh  # type: ignore[method-assign]


def keeping(base: type, attribute: str, value: Any) -> type:
    """A metaclass for a subclass of ``base``: whatever BentoML sets, ``attribute`` is ``value``.

    BentoML writes on descriptors that it is given, see `tables.HABITS`.
    """
    kept = property(lambda cls: value, lambda cls, given: None)
    return type("Keeping", (type(base),), {attribute: kept})


def service_of(instance: Any) -> bentoml.Service[Any] | None:
    """The service whose object this is; None if it was made without one, as in a unit test."""
    service: bentoml.Service[Any] | None = getattr(instance, "bento_service", None)
    return service


def look_at_services(look: Callable[[bentoml.Service[Any]], None]) -> None:
    """Let a function look at every service that is made from now on, of whatever class.

    A patch of the class: `service_class=` is the user's choice, and a decorated method is told
    neither its class nor its service.
    """
    complete = bentoml.Service.__attrs_post_init__

    @functools.wraps(complete)
    def complete_and_look(service: bentoml.Service[Any]) -> None:
        complete(service)
        look(service)

    bentoml.Service.__attrs_post_init__ = complete_and_look


def is_startup_hook(member: Any) -> bool:
    """Whether BentoML runs a member of a service's class when the service starts."""
    return bool(getattr(member, "__bentoml_startup_hook__", False))


def apis_of(source: Any) -> set[str]:
    """Names of the APIs of a service, by its proxy or by an instance in this process."""
    client = getattr(source, "to_async", None)
    if client is None:
        return set()
    return set(client.endpoints if hasattr(client, "endpoints") else vars(client))


def elsewhere(source: Any) -> tuple[str, Mapping[str, str]] | None:
    """Address and headers by which a client, or a proxy, calls a service of another deployment.

    Returns:
        None if it is neither, or calls another service of this bento.
    """
    client = source.to_async if isinstance(source, _piece("RemoteProxy")) else source
    clients = (_piece("AsyncClient"), _piece("HTTPClient"))
    if isinstance(client, clients) and client.media_type == "application/json":
        return client.url, client.default_headers
    return None


def is_worker() -> bool:
    """Whether this process is one of a server's workers."""
    return "--worker-id" in sys.argv


def service_of_worker(command: list[str]) -> str | None:
    """Name of the service whose worker a process is, by its command line; None if it is none."""
    after = command[command.index("--service-name") :][1:] if "--service-name" in command else []
    return after[0] if after else None


async def session_of(client: Any) -> aiohttp.ClientSession | None:
    """The session by which a proxy calls its service; None for an instance in this process."""
    if not hasattr(client, "_session_manager"):
        return None
    session: aiohttp.ClientSession = await client._session_manager.get_session()
    return session


def serve_by(protocol: type[HttpToolsProtocol]) -> None:
    """Let every uvicorn server that this process starts from now on speak by this protocol.

    A patch of a module. uvicorn has an option for it, but BentoML, which starts uvicorn, has
    none: so the class takes the place in which uvicorn looks for one when it starts.
    """
    import uvicorn.protocols.http.auto as place

    place.AutoHTTPProtocol = protocol
