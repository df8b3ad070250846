"""The insides of BentoML and uvicorn that are used, each with the reason.

`PRIVATE` names each class with what of it is used, `HABITS` what is done that no name stands for. A
test looks each of them up, so that a version that has changed one fails by its name.
"""

from __future__ import annotations

from dataclasses import dataclass


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
            "routes",
            "create_instance(app)",
            "metrics(_)",
            "readyz(_)",
            "livez(_)",
            "index_page(_)",
            "openapi_spec_view(req)",
            "api_endpoint(name, request)",
            "self.service",
            "self.is_main",
            "self.max_concurrency",
            "self.dispatchers",
            "self._service_instance",
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
        ("func", "name", "route"),
        "To refuse @gated above @bentoml.api, and to find what is gated; nothing public names it.",
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
            "send_400_response(msg)",
            "self.connections",
            "self.cycle",
            "self.loop",
            "self.pipeline",
            "self.transport",
            "self.url",
        ),
        "Subclassed to bound a request's head and how long it takes, for which uvicorn has no "
        "setting.",
    ),
    "RequestResponseCycle": Piece(
        "uvicorn.protocols.http.httptools_impl",
        ("self.more_body", "self.response_complete", "self.response_started"),
        "Whether an answer in the protocol would be taken for that of another request.",
    ),
}
"""By name, what is used; what others need of it can be imported from the package."""

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
        "`bentoml.models.list` fails as a whole (`tests.model.test_store`).",
    ),
    "the store is a folder for each name, with one for each version": Habit(
        "bentoml._internal.store",
        "item_path = _tag.path()",
        "`plantood.model.store` looks for gates there, and removes one that a kill left half "
        "copied (`tests.model.test_store`).",
    ),
    "a file beside the versions names the latest": Habit(
        "bentoml._internal.store",
        "(self._path / _tag.latest_path()).read_text().strip()",
        "`plantood.model.store.finish_save` writes it after a kill (`tests.model.test_store`).",
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
        "`plantood.model.store.save_gate` removes it, also where making failed "
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
