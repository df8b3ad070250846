"""All that serving uses of BentoML's insides, and of uvicorn's.

What BentoML documents is imported from ``bentoml`` where it is needed. The rest stands here, each
with the reason: `PRIVATE` names each class with what of it is used, `HABITS` what is done that no
name stands for. Other modules subclass what is in the table; whatever reaches further into an
object of BentoML's, or changes one, is a function here. A test looks each of them up, so that a
version that has changed one fails by its name. All of it is one module, long as it is, so that a
new version is met in one place. Names are looked up when they are first asked for: judging a photo
in process needs none of the web application.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BentoMLConfigException

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


@dataclass(frozen=True)
class Piece:
    """Something private: where it lies, what of it is used, and why nothing public does.

    Attributes:
        module: That it is imported from.
        used: Its attributes and methods that are read, called or overridden; a method with the
            names of its parameters, and what only an object has with ``self.`` before it.
        why: What for, and what is lacking in public.
        issue: Number of the issue or pull request of BentoML's that is about it, if one is known.
    """

    module: str
    used: tuple[str, ...]
    why: str
    issue: int | None = None


@dataclass(frozen=True)
class Habit:
    """Something that BentoML or uvicorn does, and that no name stands for.

    Attributes:
        module: That does it.
        text: Of its code.
        why: Who relies on it, and what is lacking in public.
        issue: As of a `Piece`.
    """

    module: str
    text: str
    why: str
    issue: int | None = None


PRIVATE = {
    "ServiceAppFactory": Piece(
        "_bentoml_impl.server.app",
        (
            "middlewares",
            "create_instance(app)",
            "metrics(_)",
            "readyz(_)",
            "livez(_)",
            "index_page(_)",
            "openapi_spec_view(req)",
            "api_endpoint(name, request)",
            "submit_task(name, request)",
            "retry_task(request)",
            "_run_task(task_id, name, request)",
            "self._result_store",
            "self.service",
            "self.is_main",
            "self.max_concurrency",
            "self.dispatchers",
        ),
        "The order of middlewares, what is done at the start and for each request, and what stands "
        "at / and /docs.json, where BentoML has its own. Public are only middlewares inside of "
        "BentoML's, which have read the request by then, and applications beneath its routes.",
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
    "Service": Piece(
        "bentoml",
        (
            "__attrs_post_init__()",
            "to_asgi(is_main)",
            "inject_config()",
            "all_services(exclude_urls)",
            "apis",
            "bento",
            "config",
            "dependencies",
            "envs",
            "inner",
            "labels",
            "models",
            "name",
            "openapi_spec",
            "working_dir",
        ),
        "Subclassed for an application of another kind (`service_class=`), and looked at when one "
        "is made, of any kind (`look_at_services`). The class is public; documented of it is what "
        "its decorator takes.",
    ),
    "Dependency": Piece(
        "_bentoml_sdk.service.dependency",
        ("on",),
        "Which services one depends on, since the gates among them are asked by their own probe.",
    ),
    "CorkDispatcher": Piece(
        "bentoml._internal.marshal.dispatcher", ("self.optimizer",), "As of `Optimizer`."
    ),
    "Optimizer": Piece(
        "bentoml._internal.marshal.dispatcher",
        ("trigger_refresh()", "self.wait"),
        "Batching that waits for no further photos; a setting for it does not exist.",
        issue=3630,
    ),
    "PickleSerde": Piece(
        "_bentoml_impl.serde",
        ("media_type",),
        "To tell the calls of other services of the bento: BentoML unpickles whatever reaches a "
        "service that is not the main one, and the scorer must not.",
        issue=5610,
    ),
    "APIMethod": Piece(
        "_bentoml_sdk.method",
        ("func", "name", "route", "batchable", "input_spec", "output_spec", "is_task"),
        "To refuse @gated above @bentoml.api, and to find what is gated; nothing public names it.",
    ),
    "Sqlite3Store": Piece(
        "_bentoml_impl.tasks",
        ("new_entry(name, input)", "self._conn"),
        "Of tasks BentoML keeps all that was sent and answered, for a day and without a limit; a "
        "setting for it does not exist.",
    ),
    "IODescriptor": Piece(
        "bentoml",
        (
            "from_inputs(args, kwargs)",
            "from_http_request(request, serde)",
            "to_http_response(obj, serde)",
            "from_output(func)",
            "mime_type()",
            "multipart_fields",
            "media_type",
        ),
        "Photos are read by descriptors of our own. That `input_spec=` takes one is documented, "
        "and not how one reads a request or writes an answer.",
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
        ("self.url", "self.media_type", "self.default_headers"),
        "To tell a client that calls over HTTP; the public classes are its two subclasses only.",
    ),
    "RemoteProxy": Piece(
        "_bentoml_impl.client", ("to_async",), "What bentoml.depends resolves to."
    ),
    "AsyncClient": Piece(
        "_bentoml_impl.client.proxy2",
        (
            "self.url",
            "self.media_type",
            "self.default_headers",
            "self.endpoints",
            "self._session_manager",
        ),
        "What bentoml.depends(url=...) calls by.",
    ),
    "SessionManager": Piece(
        "_bentoml_impl.client.proxy2",
        ("get_session()",),
        "To ask a service whether it is ready by a connection that there is: BentoML's own "
        "`is_ready` opened one each time, and gave none back.",
        issue=5552,
    ),
    "BentoModel": Piece(
        "bentoml.models",
        ("stored", "to_info(alias)", "resolve(base_path, global_model_store)"),
        "The gate is looked up when it is needed, and verified when it is packed; documented is "
        "only a tag that is there already.",
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
    "ModelStore": Piece(
        "bentoml._internal.models.model",
        (),
        "`create_in`: BentoML copies a model into the store file by file, and a kill leaves half "
        "of one, which its list fails on. The parameter for another store is private, too.",
    ),
    "HttpToolsProtocol": Piece(
        "uvicorn.protocols.http.httptools_impl",
        (
            "connection_made(transport)",
            "connection_lost(exc)",
            "data_received(data)",
            "on_message_begin()",
            "on_url(url)",
            "on_header(name, value)",
            "on_headers_complete()",
            "on_body(body)",
            "on_message_complete()",
            "on_response_complete()",
            "pause_writing()",
            "resume_writing()",
            "send_400_response(msg)",
            "self.connections",
            "self.cycle",
            "self.loop",
            "self.pipeline",
            "self.timeout_keep_alive",
            "self.transport",
            "self.url",
        ),
        "Subclassed to bound a request's head, how many requests wait, and how long a connection "
        "waits for a head or for its answer to be taken, for which uvicorn has no setting.",
    ),
    "RequestResponseCycle": Piece(
        "uvicorn.protocols.http.httptools_impl",
        ("self.more_body", "self.response_complete", "self.response_started"),
        "Whether a request is being answered, and whether an answer in the protocol would be taken "
        "for that of another one.",
    ),
}
"""By name, what is used; what others need of it can be imported from here."""

HABITS = {
    "it starts workers with a number": Habit(
        "_bentoml_impl.worker.service",
        '"--worker-id"',
        "`is_worker`: nothing public tells a worker from a process that imports a service.",
    ),
    "it starts workers with their service's name": Habit(
        "_bentoml_impl.worker.service",
        '"--service-name"',
        "`service_of_worker`: nothing public says which processes a server has.",
    ),
    "it keeps of a task's request what its body() gives": Habit(
        "_bentoml_impl.tasks.serde",
        "base64.b64encode(await request.body())",
        "`plantood.http.apps.bodies.Submitted` gives nothing (`tests.compose.test_beside_gated`).",
    ),
    "it runs a task by the request that it keeps": Habit(
        "_bentoml_impl.server.app",
        "BackgroundTask(self._run_task, task_id, name, request)",
        "`plantood.compose.service` runs it by the whole request "
        "(`tests.compose.test_beside_gated`).",
    ),
    "it keeps tasks in this table": Habit(
        "_bentoml_impl.tasks.result",
        "CREATE TABLE IF NOT EXISTS result (",
        "`forget_results` removes the oldest.",
    ),
    "it notes when a task came": Habit(
        "_bentoml_impl.tasks.result",
        "created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,",
        "`forget_results` removes those that never end, which BentoML keeps for ever.",
    ),
    "it looks for old tasks by when they were completed": Habit(
        "_bentoml_impl.tasks.result",
        "DELETE FROM result WHERE completed_at IS NOT NULL AND completed_at < ?",
        "`prepare_results`: without an index it reads all of them whenever a task ends.",
    ),
    "its sockets are in a folder of this name": Habit(
        "_bentoml_impl.server.serving",
        'tempfile.mkdtemp(prefix="bentoml-uds-")',
        "`plantood.bento.graceful` keeps it until the workers have ended.",
    ),
    "it removes that folder by rmtree": Habit(
        "_bentoml_impl.server.serving",
        "shutil.rmtree, uds_path, ignore_errors=True",
        "`plantood.bento.graceful`: it leaves a symbolic link alone.",
    ),
    "it logs a start that failed there": Habit(
        "_bentoml_sdk.service.factory",
        'logging.getLogger("bentoml.serve")',
        "`SERVE_LOG`: what is said in a sentence needs no stack trace.",
    ),
    "it marks a whole input": Habit(
        "_bentoml_sdk.io_models",
        "typ_.__root_input__ = True",
        "`keeping`: its clients would no longer name the arguments. `@gated` cannot give "
        "`@bentoml.api` its input in another way.",
    ),
    "it sets an output's media type anew": Habit(
        "_bentoml_sdk.io_models",
        "output.media_type = media_type",
        "`keeping`: from the annotation, which is a descriptor by then, and says none.",
    ),
    "it takes the first of an `anyOf` for the whole": Habit(
        "_bentoml_sdk.method",
        'schema.update(schema.pop("anyOf")[0])',
        "`plantood.compose.method.response`: its OpenAPI document would have the verdict alone.",
    ),
    "it sends an input that is bytes as it is": Habit(
        "_bentoml_impl.client.proxy2",
        "isinstance(rendered := model.model_dump(), (str, bytes))",
        "`ScoreInput`: what gates send to a scorer is no pickle. Documented are only inputs that "
        "have no further argument.",
    ),
    "it marks what runs at the start": Habit(
        "_bentoml_sdk.decorators",
        'setattr(func, "__bentoml_startup_hook__", True)',
        "`is_startup_hook`: such a function may make the gate, so that a class without one is not "
        "yet wrong.",
    ),
    "it runs that in the order of its names": Habit(
        "_bentoml_impl.server.app",
        "for name in dir(self.service.inner):",
        "`plantood.compose.gates` opens gates after all that may make them.",
    ),
    "an object knows its service": Habit(
        "_bentoml_sdk.service.factory",
        "instance.bento_service = self",
        "`service_of`: a method is told neither its service's threads nor its bento.",
    ),
    "the folder of a model has its record": Habit(
        "bentoml._internal.models.model",
        'MODEL_YAML_FILENAME = "model.yaml"',
        "`plantood.model.store` lists gates by it, also beside one that a kill cut off, where "
        "`bentoml.models.list` fails as a whole, and writes it last (`tests.model.test_store`).",
    ),
    "the store is a folder for each name, with one for each version": Habit(
        "bentoml._internal.store",
        "item_path = _tag.path()",
        "`plantood.model.store` looks for gates there, puts a whole one there at once, and removes "
        "one that a kill left half copied (`tests.model.test_store`).",
    ),
    "a file beside the versions names the latest": Habit(
        "bentoml._internal.store",
        "(self._path / _tag.latest_path()).read_text().strip()",
        "`plantood.model.store` writes it when a gate is put there (`tests.model.test_store`).",
    ),
    "it takes the beginning of a version for the version": Habit(
        "bentoml._internal.store",
        'self._path.glob(f"{path}*/")',
        "`plantood.model.store` compares the tag that it asked for "
        "(`tests.model.test_store.test_a_prefix_is_not_the_entry`).",
    ),
    "it makes a model in a temporary folder": Habit(
        "bentoml._internal.models.model",
        "model_fs = tempfile.mkdtemp(",
        "`plantood.model.saving.save_gate` removes it, also where making failed "
        "(`tests.model.test_store.test_a_failed_copy_leaves_nothing`).",
    ),
    "the folder of a bento has its record": Habit(
        "bentoml._internal.bento.bento",
        'BENTO_YAML_FILENAME = "bento.yaml"',
        "`plantood.bento.packing` reads which gate is packed, at import, when no object of "
        "BentoML's is there yet (`tests.bento.test_packing`).",
    ),
    "beside the record is the code": Habit(
        "bentoml._internal.bento.bento",
        'BENTO_PROJECT_DIR_NAME = "src"',
        "`plantood.bento.packing` finds the record from there (`tests.bento.test_packing`).",
    ),
    "the record has the models of each service": Habit(
        "bentoml._internal.bento.bento",
        "models: t.List[BentoModelInfo] = attr.field(factory=list, eq=False)",
        "`plantood.bento.packing` tells by their `module` which is a gate "
        "(`tests.bento.test_packing`).",
    ),
    "its HTTP client uploads what is typing's BinaryIO": Habit(
        "_bentoml_impl.client.base",
        "assert isinstance(value, t.BinaryIO)",
        "`plantood.photo.forms.as_upload`: photos in memory, without a file on disk "
        "(`tests.compose.test_ways`).",
    ),
    "it tells workers where to count": Habit(
        "_bentoml_impl.server.serving",
        'env = {"PROMETHEUS_MULTIPROC_DIR": ensure_prometheus_dir()}',
        "`plantood.bento.ending`: a worker leaves its mark for the supervisor there, and "
        "`plantood.judging.prometheus` tells a worker by it (`tests.bento.test_ending`).",
    ),
    "its supervisor comes to its end when it is told to stop": Habit(
        "_bentoml_impl.server.serving",
        "arbiter.start(",
        "`plantood.bento.ending` changes the status at the interpreter's exit, from 0 to 1, where "
        "a worker could not start (`tests.bento.test_ending`).",
    ),
    "uvicorn looks for its protocol where `serve_by` puts one": Habit(
        "uvicorn.config",
        '"auto": "uvicorn.protocols.http.auto:AutoHTTPProtocol"',
        "uvicorn has an option for it, and BentoML, which starts uvicorn, hands none on.",
    ),
}
"""By name, what is relied on."""


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


def create_in(
    folder: Path, tag: bentoml.Tag, **record: Any
) -> AbstractContextManager[bentoml.Model]:
    """`bentoml.models.create`, into a store in a folder of its own."""
    return bentoml.models.create(tag, _model_store=_piece("ModelStore")(folder), **record)


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

    BentoML writes on descriptors that it is given, see `HABITS`.
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


def has_results(app: ServiceAppFactory) -> bool:
    """Whether an application that has started keeps results of tasks."""
    return hasattr(app, "_result_store")


async def prepare_results(app: ServiceAppFactory) -> None:
    """Let BentoML find old results of tasks without reading all of them."""
    await app._result_store._conn.execute(
        "CREATE INDEX IF NOT EXISTS result_completed ON result (completed_at)"
    )


async def forget_results(app: ServiceAppFactory, most: int) -> None:
    """Remove the oldest tenth of all results if tasks have more than so many bytes on disk.

    Also tasks that have no result a day after they came: those of a worker that died never end.

    Raises:
        sqlite3.Error: They cannot be removed now.
    """
    connection = app._result_store._conn
    found = await connection.execute(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    )
    row = await found.fetchone()
    if row and row[0] > most:
        await connection.execute(
            "DELETE FROM result WHERE rowid IN (SELECT rowid FROM result "
            "WHERE completed_at IS NOT NULL ORDER BY completed_at "
            "LIMIT (SELECT 1 + count(completed_at) / 10 FROM result)) "
            "OR completed_at IS NULL AND created_at < datetime('now', '-1 day')"
        )
        await connection.commit()


def serve_by(protocol: type[HttpToolsProtocol]) -> None:
    """Let every uvicorn server that this process starts from now on speak by this protocol.

    A patch of a module. uvicorn has an option for it, but BentoML, which starts uvicorn, has
    none: so the class takes the place in which uvicorn looks for one when it starts.
    """
    import uvicorn.protocols.http.auto as place

    place.AutoHTTPProtocol = protocol
