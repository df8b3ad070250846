"""BentoML's insides are as this package uses them; a change there fails here, by its name."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bentoml
import pytest
import uvicorn
import uvicorn.protocols.http.auto as auto
from _bentoml_impl.tasks import ResultStatus
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plantood import bentoml_private
from plantood.bentoml_private import (
    HABITS,
    NEXT,
    OLDEST,
    PRIVATE,
    SERVE_LOG,
    SOCKET_FOLDERS,
    UnknownBentoML,
    elsewhere,
    ensure_known,
    forget_results,
    has_results,
    is_startup_hook,
    keeping,
    look_at_services,
    prepare_results,
    service_of,
    service_of_worker,
)
from plantood.http.admission import PICKLE

ROOT = Path(__file__).parents[1]
PIECES = [(name, used) for name, piece in PRIVATE.items() for used in piece.used]
SERVE_LOG_TEXT, SOCKETS_TEXT = f'"{SERVE_LOG}"', f'"{SOCKET_FOLDERS.removesuffix("*")}"'


@pytest.mark.parametrize("name", PRIVATE)
def test_each_piece_is_there(name: str) -> None:
    assert getattr(bentoml_private, name) is not None
    assert PRIVATE[name].why.endswith(".")


def test_what_others_import_is_in_the_table() -> None:
    assert set(bentoml_private.__all__) <= set(PRIVATE)


@pytest.mark.parametrize(("name", "used"), PIECES)
def test_each_is_used_as_it_is(name: str, used: str) -> None:
    attribute, call, parameters = used.rstrip(")").partition("(")
    piece = getattr(bentoml_private, name)
    if (own := attribute.removeprefix("self.")) != attribute:
        assert own in _of_objects(piece)
        return
    value = inspect.getattr_static(piece, attribute) if attribute else piece
    if call:
        signature = inspect.signature(getattr(value, "__func__", value))
        names = [n for n in signature.parameters if n not in ("self", "cls")]
        assert ", ".join(names) == parameters


def _of_objects(piece: type) -> set[str]:
    """Names of what an object of a class has: attrs' fields, and what its methods set."""
    names = {field.name for field in getattr(piece, "__attrs_attrs__", ())}
    for base in piece.__mro__:
        if base.__module__.startswith(("bentoml", "_bentoml", "uvicorn")):
            names.update(re.findall(r"^ +self\.(\w+)(?:: .*)? = ", inspect.getsource(base), re.M))
    return names


@pytest.mark.parametrize("name", HABITS)
def test_each_habit_is_kept(name: str) -> None:
    habit = HABITS[name]
    assert habit.text in inspect.getsource(import_module(habit.module))
    assert habit.why.endswith(".")


def test_what_is_named_twice_is_the_same() -> None:
    texts = [habit.text for habit in HABITS.values()]
    assert any(SERVE_LOG_TEXT in text for text in texts)
    assert any(SOCKETS_TEXT in text for text in texts)
    assert bentoml_private.PickleSerde.media_type == PICKLE


def test_a_descriptor_keeps_what_bentoml_would_set() -> None:
    class Given(bentoml.IODescriptor):
        number: int

    class Kept(Given, metaclass=keeping(Given, "__root_input__", False)):
        pass

    def whole(self: object, request: Given, /) -> None: ...
    def kept(self: object, request: Kept, /) -> None: ...

    specs = [
        bentoml.IODescriptor.from_input(function, skip_self=True)
        for function in (_with_types(whole, Given), _with_types(kept, Kept))
    ]
    assert [spec.__root_input__ for spec in specs] == [True, False]
    assert specs == [Given, Kept]


def _with_types(function: Callable[..., None], request: type) -> Callable[..., None]:
    function.__annotations__ = {"request": request}
    return function


def test_an_object_knows_its_service() -> None:
    @bentoml.service(threads=3)
    class Detector:
        pass

    service = service_of(Detector())
    assert service is Detector
    assert service.config["threads"] == 3
    assert service.bento is None
    assert service_of(object()) is None


def test_every_service_is_looked_at_once_it_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    class Another(bentoml.Service):
        pass

    seen: list[tuple[str, list[str]]] = []
    complete = bentoml.Service.__attrs_post_init__
    monkeypatch.setattr(bentoml.Service, "__attrs_post_init__", complete)  # and back
    look_at_services(lambda service: seen.append((service.name, list(service.apis))))

    class Detector:
        @bentoml.api
        def diagnose(self) -> str:
            return "rust"

        @bentoml.on_startup
        def load(self) -> None: ...

    for kind in (bentoml.Service, Another):
        bentoml.service(service_class=kind)(Detector)
    assert seen == [("Detector", ["diagnose"])] * 2
    assert is_startup_hook(Detector.load)
    assert not is_startup_hook(Detector.diagnose)


def test_a_client_of_another_deployment_is_known_by_its_address() -> None:
    class Asking:
        gate = bentoml.depends(url="http://gate.example.org:3000")

    address, headers = elsewhere(Asking().gate)
    assert address == "http://gate.example.org:3000"
    assert "User-Agent" in headers
    assert elsewhere(object()) is None


@pytest.mark.parametrize(
    ("command", "service"),
    [
        (["python", "-m", "worker", "--service-name", "Gate", "--worker-id", "1"], "Gate"),
        (["python", "--service-name"], None),
        (["python", "Gate"], None),
        ([], None),
    ],
)
def test_a_worker_is_known_by_its_command(command: list[str], service: str | None) -> None:
    assert service_of_worker(command) == service


def test_the_oldest_results_of_tasks_go_when_there_is_no_room(tmp_path: Path) -> None:
    store = bentoml_private.Sqlite3Store
    store.init_db(str(tmp_path / "tasks.db"))
    request = Request({"type": "http", "path": "/diagnose/submit"}, _nothing)

    async def scenario() -> tuple[list[str], list[str]]:
        tasks, left = [], []
        async with store(str(tmp_path / "tasks.db")) as results:
            app: Any = SimpleNamespace(_result_store=results)
            await prepare_results(app)
            for _ in range(40):
                tasks.append(await results.new_entry("diagnose", request))
                answer = Response(bytes(10_000))
                await results.set_result(tasks[-1], answer, ResultStatus.COMPLETED)
                await forget_results(app, 200_000)
            for task in tasks:
                with contextlib.suppress(KeyError):
                    left.append((await results.get(task)).task_id)
        return tasks, left

    tasks, left = asyncio.run(scenario())
    assert 8 <= len(left) <= 15  # of 13 kB each, in base64
    assert left == tasks[-len(left) :]
    assert not has_results(SimpleNamespace())
    size = sum(path.stat().st_size for path in tmp_path.glob("tasks.db"))
    assert size < 400_000


def test_tasks_in_hand_stay_and_those_that_never_end_go_after_a_day(tmp_path: Path) -> None:
    store = bentoml_private.Sqlite3Store
    store.init_db(str(tmp_path / "tasks.db"))
    request = Request({"type": "http", "path": "/diagnose/submit"}, _nothing)

    async def scenario() -> tuple[list[str], list[str]]:
        left = []
        async with store(str(tmp_path / "tasks.db")) as results:
            app: Any = SimpleNamespace(_result_store=results)
            tasks = [await results.new_entry("diagnose", request) for _ in range(33)]
            lost, waiting, longest, *others = tasks
            for task, since in ((lost, "-25 hours"), (longest, "-23 hours")):
                await results._conn.execute(
                    "UPDATE result SET created_at = datetime('now', ?) WHERE task_id = ?",
                    (since, task),
                )
            for task in (*others, longest):
                await results.set_result(task, Response(bytes(10_000)), ResultStatus.COMPLETED)
                await forget_results(app, 200_000)
            for task in tasks:
                with contextlib.suppress(KeyError):
                    left.append((await results.get_status(task)).task_id)
            assert (await results.get_status(waiting)).status is ResultStatus.IN_PROGRESS
        return tasks, left

    (lost, waiting, longest, *others), left = asyncio.run(scenario())
    assert lost not in left
    assert left[:2] == [waiting, longest]
    assert 8 <= len(left) <= 15
    assert left[2:] == others[2 - len(left) :]


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_uvicorn_takes_its_protocol_from_where_it_is_put(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ours(HttpToolsProtocol):
        pass

    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)
    bentoml_private.serve_by(Ours)
    config = uvicorn.Config(lambda: None)
    config.load()
    assert config.http_protocol_class is Ours


@pytest.mark.parametrize("version", ["1.4.38", "1.3.22", "1.5.0", "2.0.0"])
def test_an_unknown_version_is_refused_in_one_sentence(version: str) -> None:
    with pytest.raises(UnknownBentoML, match=rf"not with {version}: pip install") as refused:
        ensure_known(version)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("version", ["1.4.39", "1.4.40", "1.4.40.post1+g3", bentoml.__version__])
def test_a_known_version_is_taken(version: str) -> None:
    ensure_known(version)


def test_the_bounds_are_those_that_pip_installs() -> None:
    oldest, limit = (".".join(map(str, bound)) for bound in (OLDEST, NEXT))
    assert f'"bentoml>={oldest},<{limit}"' in (ROOT / "pyproject.toml").read_text()
    document = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert f"| BentoML | {oldest} or newer, below {limit} |" in document
    assert f"the wheel also with {oldest}" in document  # `tests.test_wheel` does


def test_nothing_else_names_them() -> None:
    private = re.compile(r"bentoml\._internal|_bentoml_impl|_bentoml_sdk")
    named = [
        str(path.relative_to(ROOT))
        for folder in ("plantood", "training")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if private.search(path.read_text(encoding="utf-8"))
    ]
    assert named == ["plantood/bentoml_private.py"]


REACHES = re.compile(
    r"\._service_instance|\.optimizer\b|\.inject_config\(|\bbento_service\b\s*=\s*getattr|"
    r"\._session_manager|\.default_headers|\.media_type ==|--worker-id|--service-name|"
    r"bentoml-uds-\*|__bentoml_startup_hook__|\._result_store\b|\._conn\b"
)
"""What only the one module says, of the insides of BentoML's objects and processes."""


def test_nothing_else_reaches_into_them() -> None:
    reaching = {
        path.relative_to(ROOT).parts[1]
        for path in sorted((ROOT / "plantood").rglob("*.py"))
        if REACHES.search(path.read_text(encoding="utf-8"))
    }
    assert reaching == {"bentoml_private.py"}
