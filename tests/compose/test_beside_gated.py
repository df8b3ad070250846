"""Whatever else a service with gated methods reads of a request has the bounds of the photos."""

from __future__ import annotations

import asyncio
import base64
import copy
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import bentoml
import httpx
import PIL.Image
import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from plantood.bento.errors import SetupError
from plantood.bentoml_private import configure
from plantood.compose import GatedService, gated
from plantood.compose.service import TASKS, GatedApp
from plantood.http import uploads
from plantood.http.admission import Places
from plantood.http.apps.bodies import BoundedApp, Whole
from plantood.http.uploads import BodyTooLarge, BodyTooSlow
from plantood.settings import MEBIBYTE, Settings
from tests.compose.method.test_signature import GATE
from tests.http.test_uploads import Sender
from tests.service.server import Server, serving

SERVICE = """
import time
from collections.abc import AsyncIterator
from pathlib import Path

import bentoml
from PIL.Image import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from plantood.compose import GatedService, Verdict, gated

RELEASED = Path(__file__).with_name("released")


class Gate:
    async def check(self, photo: bytes, language: str | None) -> Verdict:
        return Verdict(verdict="retake" if b"soil" in photo else "accept")


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@bentoml.service(service_class=GatedService)
@bentoml.asgi_app(Starlette(routes=[Route("/length", length, methods=["POST"])]), path="/beside")
class Detector:
    gate = Gate()

    @bentoml.task
    @gated
    def diagnose(self, image: bytes, note: str = "") -> dict:
        return {"bytes": len(image), "note": note}

    @bentoml.task
    @gated
    def slowly(self, image: bytes) -> str:
        until = time.monotonic() + 30
        while not RELEASED.exists() and time.monotonic() < until:
            time.sleep(0.05)
        return "rust"

    @bentoml.api
    @gated(photo="image")
    async def masked(self, image: bytes, mask: Image, more: list[Image] = []) -> dict:
        return {"size": mask.size, "mode": mask.mode, "more": len(more)}

    @bentoml.task
    def count(self, text: str) -> int:
        return len(text)

    @bentoml.api
    def tell(self, text: str) -> int:
        return len(text)

    @bentoml.api
    async def stream(self, text: str) -> AsyncIterator[str]:
        yield str(len(text))

    @bentoml.task
    def sizes(self, files: list[Path]) -> list[int]:
        return [file.stat().st_size for file in files]

    @bentoml.api
    def compare(self, a: bytes, b: bytes) -> list[int]:
        return [len(a), len(b)]

    @bentoml.api
    def measured(self, file: Path, params: dict) -> list[int]:
        return [file.stat().st_size, params["leaves"]]
"""
PHOTO = b"\xff\xd8 a leaf " + bytes(1000)
LIMIT_MB = 2
LARGE = b"\xff\xd8" + bytes(LIMIT_MB * MEBIBYTE + 100 * 1024)
HEADERS = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("beside") / "home"


@pytest.fixture(scope="module")
def beside(home: Path) -> Iterator[Server]:
    (home.parent / "service.py").write_text(SERVICE)
    limits = {
        "PLANTOOD_MAX_UPLOAD_MB": str(LIMIT_MB),
        "PLANTOOD_MAX_PHOTOS": "3",
        "PLANTOOD_UPLOADS_MB": "8",
    }
    with serving(home, "service:Detector", folder=home.parent, **limits) as server:
        yield server


def submitted(server: Server, path: str, photo: bytes, **given: Any) -> str:
    answer = httpx.post(f"{server.url}{path}/submit", content=photo, timeout=60, **given)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task_id"])


def result(server: Server, path: str, task: str) -> httpx.Response:
    """What comes of a task."""
    for _ in range(300):
        state = httpx.get(f"{server.url}{path}/status", params={"task_id": task}).json()
        if state["status"] != "in_progress":
            return httpx.get(f"{server.url}{path}/get", params={"task_id": task})
        time.sleep(0.1)
    raise AssertionError(server.output)


def pieces(body: bytes) -> Iterator[bytes]:
    """Sent in chunks, so that nothing says how many bytes will come."""
    yield from (body[i : i + 65536] for i in range(0, len(body), 65536))


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "path",
    ["/diagnose", "/diagnose/submit", "/count/submit", "/tell", "/stream", "/count"],
)
def test_a_body_above_the_limit_is_refused_wherever_it_is_sent(
    beside: Server, home: Path, path: str, chunked: bool
) -> None:
    before = kept(home)
    content = pieces(LARGE) if chunked else LARGE
    headers = {"Content-Type": "image/jpeg"} if "diagnose" in path else HEADERS
    answer = httpx.post(f"{beside.url}{path}", content=content, headers=headers, timeout=60)
    assert answer.status_code == 413, answer.text
    assert list(answer.json()) == ["error"]
    assert kept(home) == before


@pytest.mark.parametrize("chunked", [False, True])
def test_an_application_beside_the_apis_is_bounded(beside: Server, chunked: bool) -> None:
    url = f"{beside.url}/beside/length"
    several = LARGE + LARGE[: MEBIBYTE // 2]  # as many photos as a list may have
    assert httpx.post(url, content=several).text == str(len(several))
    above = bytes((3 * LIMIT_MB + 1) * MEBIBYTE)
    answer = httpx.post(url, content=pieces(above) if chunked else above, timeout=60)
    assert (answer.status_code, list(answer.json())) == (413, ["error"])
    assert "Traceback" not in beside.output


def test_a_list_of_files_may_be_as_large_as_one_of_photos(beside: Server) -> None:
    files = [("files", ("a", bytes(LIMIT_MB * MEBIBYTE))) for _ in range(4)]
    answer = httpx.post(f"{beside.url}/sizes", files=files[:3], timeout=60)
    assert answer.json() == [LIMIT_MB * MEBIBYTE] * 3
    assert httpx.post(f"{beside.url}/sizes", files=files, timeout=60).status_code == 413


def test_a_form_is_read_as_that_of_photos(beside: Server) -> None:
    """Not by a parser that a line takes long, which begins as the boundary does."""
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    endless = head + b"\r\n--bX" * 1000 + b"\r\n--b--\r\n"
    answer = httpx.post(f"{beside.url}/sizes", content=endless, headers=kind)
    assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text
    four = [("files", ("a", b"x"))] * 4
    assert httpx.post(f"{beside.url}/sizes", files=four).status_code == 400
    data = {"text": (None, '"maize!"')}
    assert httpx.post(f"{beside.url}/tell", files=data).text == "6"
    assert httpx.post(f"{beside.url}/tell", data={"text": "maize!"}).text == "6"
    assert "Traceback" not in beside.output


@pytest.mark.parametrize(
    "kind", ["Multipart/Form-Data", "MULTIPART/FORM-DATA ", "multipart/Form-data"]
)
def test_the_capitals_of_a_content_type_mean_nothing(beside: Server, kind: str) -> None:
    form = (
        b'--Bound\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        b"leaf\r\n--Bound--\r\n"
    )
    headers = {"Content-Type": f"{kind}; boundary=Bound"}
    call = httpx.post(f"{beside.url}/sizes", content=form, headers=headers, timeout=10)
    assert (call.status_code, call.text) == (200, "[4]")
    task = submitted(beside, "/sizes", form, headers=headers)
    assert result(beside, "/sizes", task).text == "[4]"
    no_file = httpx.post(f"{beside.url}/tell", content=form, headers=headers, timeout=10)
    assert no_file.status_code == 400


def test_each_field_of_a_form_may_be_a_file(beside: Server) -> None:
    """Whatever type it has: BentoML reads a file as what its field is."""
    whole = bytes(LIMIT_MB * MEBIBYTE)
    files = [("a", ("a", b'"leaf"')), ("b", ("b", b'"soil!"'))]
    assert httpx.post(f"{beside.url}/compare", files=files).json() == [4, 5]
    params = ("params", ("params.json", b'{"leaves": 3}', "application/json"))
    answer = httpx.post(f"{beside.url}/measured", files=[("file", ("a", whole)), params])
    assert answer.json() == [len(whole), 3]
    third = httpx.post(f"{beside.url}/compare", files=[*files, ("c", ("c", b"rust"))])
    assert (third.status_code, list(third.json())) == (400, ["error"])


def test_what_is_below_it_is_read_as_ever(beside: Server) -> None:
    for path, said in (("/tell", "6"), ("/count", "6"), ("/stream", "6")):
        assert httpx.post(f"{beside.url}{path}", json={"text": "maize!"}).text == said
    empty = httpx.post(f"{beside.url}/tell")
    assert empty.status_code == 400
    task = submitted(beside, "/count", b'{"text": "maize!"}', headers=HEADERS)
    assert result(beside, "/count", task).text == "6"


def test_a_task_judges_its_photo_and_answers_as_the_call_does(beside: Server) -> None:
    for photo, given in ((PHOTO, {"params": {"note": "x"}}), (PHOTO + b"soil", {})):
        call = httpx.post(f"{beside.url}/diagnose", content=photo, **given)
        task = submitted(beside, "/diagnose", photo, **given)
        answer = result(beside, "/diagnose", task)
        assert (answer.status_code, answer.json()) == (call.status_code, call.json())
    form = httpx.post(f"{beside.url}/diagnose/submit", files={"image": PHOTO}, data={"note": "y"})
    answer = result(beside, "/diagnose", form.json()["task_id"])
    assert answer.json() == {"bytes": len(PHOTO), "note": "y"}


@pytest.mark.parametrize("body", [b"", b"{}", b"/9j/4AAQ"])
def test_what_is_no_photo_becomes_no_task(beside: Server, home: Path, body: bytes) -> None:
    before = kept(home)
    url = f"{beside.url}/diagnose"
    call, submission = (httpx.post(each, content=body) for each in (url, f"{url}/submit"))
    assert (submission.status_code, submission.json()) == (400, call.json())
    assert kept(home) == before


def kept(home: Path) -> int:
    """Bytes that BentoML's store of tasks has on disk."""
    return sum(len(content) for content in store(home))


def store(home: Path) -> list[bytes]:
    found = [path for path in home.rglob("*") if path.is_file() and b"SQLite" in head(path)]
    assert found
    return [file.read_bytes() for path in found for file in path.parent.glob(f"{path.name}*")]


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def test_nothing_of_a_photo_stays_on_disk(beside: Server, home: Path) -> None:
    mark = b"a mark within a photo that is found again, in base64 as well"
    photo = PHOTO[:3] + mark + bytes(MEBIBYTE)
    before = kept(home)
    headers = {"Content-Type": "image/jpeg", "Authorization": "Bearer of-the-sender"}
    task = submitted(beside, "/diagnose", photo, headers=headers, params={"note": "of-the-query"})
    assert result(beside, "/diagnose", task).json()["bytes"] == len(photo)
    content = b"".join(store(home))
    assert task.encode() in content
    for secret in (mark, base64.b64encode(mark), b"of-the-sender"):
        assert secret not in content
    assert kept(home) < before + MEBIBYTE // 2


def test_a_task_is_not_tried_again_without_its_photo(beside: Server) -> None:
    task = submitted(beside, "/diagnose", PHOTO)
    result(beside, "/diagnose", task)
    for given in ({"task_id": task}, {"task_id": "none"}, {}):
        answer = httpx.post(f"{beside.url}/diagnose/retry", params=given)
        assert answer.status_code == 410
        assert answer.json()["error"].endswith("submit it again.")


def test_photos_of_tasks_that_wait_have_the_room_of_uploads(beside: Server, home: Path) -> None:
    """One runs, and each that waits for it holds its photo."""
    photo = b"\xff\xd8" + bytes(LIMIT_MB * MEBIBYTE)
    url = f"{beside.url}/slowly/submit"
    answers = [httpx.post(url, content=photo, timeout=60) for _ in range(6)]
    assert [answer.status_code for answer in answers[:2]] == [200] * 2
    assert answers[-1].status_code == 429, answers[-1].text
    assert answers[-1].headers["Retry-After"]
    (home.parent / "released").touch()
    tasks = [answer.json()["task_id"] for answer in answers if answer.status_code == 200]
    assert {result(beside, "/slowly", task).text for task in tasks} == {"rust"}
    assert httpx.post(url, content=photo, timeout=60).status_code == 200  # there is room again


def _picture(format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    PIL.Image.effect_noise((40, 30), 50).save(buffer, format, **options)
    return buffer.getvalue()


def test_a_picture_beside_the_photo_is_a_picture_or_a_sentence(beside: Server) -> None:
    before = beside.output.count("Traceback")

    def ask(mask: bytes, kind: str, *more: bytes) -> httpx.Response:
        files = [("image", ("a.jpg", PHOTO, "image/jpeg")), ("mask", ("m.png", mask, kind))]
        files += [("more", ("m.png", one, kind)) for one in more]
        return httpx.post(f"{beside.url}/masked", files=files, timeout=60)

    png, jpeg = _picture("PNG"), _picture("JPEG")
    for kind in ("image/png", "image/nonsense", "image/eps", "image/", "text/plain"):
        seen = ask(png, kind, jpeg, png)
        assert (seen.status_code, seen.json()["mode"], seen.json()["more"]) == (200, "L", 2)
        for mask, more in ((b"no picture", ()), (b"", ()), (jpeg[:600], ()), (png, (png[:300],))):
            refused = ask(mask, kind, *more)
            assert (refused.status_code, list(refused.json())) == (400, ["error"]), refused.text
            assert "beside the photo" in refused.json()["error"]
    assert beside.output.count("Traceback") == before


def test_a_task_needs_a_service_that_bounds_it() -> None:
    class Detector:
        gate = GATE

        @bentoml.task
        @gated
        def diagnose(self, image: bytes) -> str: ...

    with pytest.raises(SetupError, match=r"task on Detector\.diagnose would keep on disk") as error:
        bentoml.service(Detector)
    assert "@bentoml.service(service_class=GatedService) above Detector" in str(error.value)
    assert bentoml.service(service_class=GatedService)(Detector).apis["diagnose"].is_task


def _request(sender: Receive) -> Request:
    return Request({"type": "http", "headers": []}, sender)


SETTINGS = Settings(max_upload_mb=1, max_photos=2)


def test_a_body_that_stops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 0.1)
    whole = Whole(_request(Sender((0, b"a"), (60, b"b"))), SETTINGS, 1)
    with pytest.raises(BodyTooSlow):
        asyncio.run(asyncio.wait_for(whole.body(), 5))


def test_a_whole_body_comes_once_and_then_what_the_server_says() -> None:
    sent = [bytes([number]) * 300_000 for number in range(3)]

    async def scenario() -> tuple[bytes, Message]:
        sender = Sender(*((0.0, body) for body in sent))
        whole = Whole(_request(sender), SETTINGS, 1)
        body = await whole.body()
        sender.pieces.append((0.0, b"the server"))
        return body, await whole.receive()

    body, last = asyncio.run(scenario())
    assert body == b"".join(sent)
    assert last["body"] == b"the server"


@pytest.fixture
def configured_for_this() -> Iterator[None]:
    """What a test puts in force is not in force after it: BentoML has one for the process."""
    before = copy.deepcopy(BentoMLContainer.config.get())
    yield
    BentoMLContainer.config.set(before)


@pytest.mark.usefixtures("configured_for_this")
def test_tasks_in_hand_are_counted_where_nothing_else_does() -> None:
    def places(*methods: Any, **traffic: int) -> list[int]:
        class Detector:
            gate = GATE
            diagnose, *_ = methods

        service = bentoml.service(service_class=GatedService, traffic=traffic)(Detector)
        configure(service)
        edge = GatedApp(service, is_main=True).middlewares
        return [one.kwargs["places"] for one in edge if one.cls is Places]

    def diagnose(self: Any, image: bytes) -> str: ...

    task, call = bentoml.task(gated(diagnose)), bentoml.api(gated(diagnose))
    assert places(task) == [TASKS]
    assert places(task, max_concurrency=7) == [7]
    assert places(call) == []


def test_an_application_for_which_there_is_no_place_has_the_answer_of_an_api() -> None:
    async def length(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    mounted = Starlette(routes=[Route("/length", length, methods=["POST"])])

    async def ask(places: int) -> httpx.Response:
        full = Places(BoundedApp(mounted, SETTINGS), places)
        transport = httpx.ASGITransport(full)
        async with httpx.AsyncClient(transport=transport, base_url="http://beside") as client:
            return await client.post("/length", content=b"leaf")

    assert asyncio.run(ask(1)).text == "4"
    refused = asyncio.run(ask(0))
    assert (refused.status_code, list(refused.json())) == (429, ["error"])
    assert refused.headers["Retry-After"]


def test_an_application_s_own_answer_to_a_refusal_is_not_sent() -> None:
    """Whatever it makes of an error that it does not know."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except BodyTooLarge:
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"broken"})
            raise

    answered: list[Message] = []

    async def send(message: Message) -> None:
        answered.append(message)

    sender = Sender(*[(0.0, bytes(MEBIBYTE))] * 4)
    scope = {"type": "http", "headers": []}
    asyncio.run(BoundedApp(app, SETTINGS)(scope, sender, send))
    assert answered[0]["status"] == 413
