"""A service with the gate in front is as safe from strangers as the gate itself."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.compose.examples import EXAMPLES, TARGETS
from tests.security import payloads
from tests.security.attacks import PLANT, exchange, post, status
from tests.service.server import SAMPLES, Server, serving, start

PICKLE = b"application/vnd.bentoml+pickle"


@pytest.fixture(scope="module")
def decorated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The documents' own file."""
    home = tmp_path_factory.mktemp("decorated")
    with serving(home, TARGETS["decorated"], folder=EXAMPLES) as server:
        yield server


@pytest.fixture(params=["/diagnose photo decorated", "/as_pil image detector"])
def api(request: pytest.FixtureRequest) -> tuple[Server, str, str]:
    """A gated API with the edge of `GatedService`, and one with BentoML's own: path and field."""
    path, field, fixture = request.param.split()
    return request.getfixturevalue(fixture), path, field


def test_no_path_is_opened_and_none_tells_whether_a_file_exists(
    api: tuple[Server, str, str],
) -> None:
    server, path, field = api
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(pipe := f"{folder}/pipe")
        seen: dict[tuple[bytes, ...], tuple[int, bytes]] = {}
        for file in ("/etc/passwd", "/nowhere", str(SAMPLES / "maize_leaf.jpg"), pipe):
            body = json.dumps({field: file, "crop": "maize"}).encode()
            for kind in (
                [b"Content-Type: Application/vnd.bentoml+pickle"],
                [b"Content-Type: " + PICKLE],
                [b"Content-Type: application/json"],
                [b"Content-Type: application/json", b"Content-Type: " + PICKLE],
                [b"Content-Type: APPLICATION/JSON", b"Content-Type: image/jpeg"],
            ):
                answer = exchange(server, post(path, body, *kind), seconds=5)
                assert answer, (kind, file)
                said = status(answer), answer.partition(b"\r\n\r\n")[2]
                assert 400 <= said[0] < 500, answer
                assert seen.setdefault(tuple(kind), said) == said
            form = {field: ("a.jpg", PLANT, "image/jpeg")}
            text = httpx.post(f"{server.url}{path}", data={field: file}, files={"x": form[field]})
            assert text.status_code == 400, text.text


def test_a_text_is_never_taken_for_another_file(detector: Server) -> None:
    """The method of this API opens what it gets as its second photo."""
    files = {"image": ("a.jpg", PLANT, "image/jpeg")}
    for text in ("/etc/passwd", "http://127.0.0.1:1/", "file:///etc/passwd"):
        answer = httpx.post(f"{detector.url}/with_a_mask", files=files, data={"mask": text})
        assert answer.status_code == 400, answer.text


LONG = ["fr," * 2700, "a-" * 4000, "\u00e9" * 2000]


@pytest.mark.parametrize("language", LONG, ids=["tags", "a tag", "no tag"])
def test_no_language_opens_a_gate_that_is_open_when_it_fails(
    detector: Server, language: str
) -> None:
    soil = (SAMPLES / "bare_soil.jpg").read_bytes()
    url, header = f"{detector.url}/elsewhere_or_accept", {"Accept-Language": language.encode()}
    field = {"language": language * 10}
    for answer in (
        httpx.post(url, content=soil, headers=header),
        httpx.post(url, files={"image": soil}, headers=header),
        httpx.post(url, files={"image": soil}, data=field),
        httpx.post(f"{detector.url}/whatever_or_accept", files={"photo": soil}, data=field),
    ):
        assert answer.json()["verdict"] == "retake", answer.text
        assert answer.json()["model"], answer.text


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(b'{"image": "/9j/"}', id="JSON"),
        pytest.param(b"/9j/4AAQ", id="base64"),
        pytest.param(b" photo=", id="text"),
        pytest.param(b"\x1f\x8b", id="gzip"),
        pytest.param(b"\xff\xd8" + bytes(21 << 20), id="too large"),
        pytest.param(b"\n\xff\xd8", id="no photo"),
    ],
)
def test_no_bytes_open_a_gate_that_is_open_when_it_fails(detector: Server, photo: bytes) -> None:
    files = {"photo": ("a.jpg", photo, "image/jpeg")}
    answer = httpx.post(f"{detector.url}/whatever_or_accept", files=files, timeout=60)
    assert answer.json()["verdict"] == "retake", answer.text
    answer = httpx.post(f"{detector.url}/elsewhere_or_accept", content=photo, timeout=60)
    assert answer.status_code in (400, 413) or answer.json()["verdict"] == "retake", answer.text


def test_a_field_of_another_kind_is_a_sentence_and_no_trace_in_the_log(detector: Server) -> None:
    before = detector.output.count("Traceback")
    for data, named in (
        ({"crop": "maize", "leaves": "abc"}, "`leaves` is not as it should be"),
        ({"crop": "maize", "leaves": "0"}, "`leaves` is not as it should be"),
        ({"crop": "maize", "leaves": "9" * 10_000}, "`leaves` is not as it should be"),
        ({"leaves": "1"}, "`crop` is missing"),
    ):
        for sent in ({"files": {"image": PLANT}, "data": data}, {"content": PLANT, "params": data}):
            if len(str(data)) > 8000 and "params" in sent:
                continue  # no address may be so long
            answer = httpx.post(f"{detector.url}/as_pil", **sent)
            assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text
            assert named in answer.json()["error"]
    assert detector.output.count("Traceback") == before


@pytest.mark.parametrize("charset", [b"punycode", b"undefined"])
def test_a_form_in_another_charset_costs_nothing(
    api: tuple[Server, str, str], charset: bytes
) -> None:
    server, path, _ = api
    text = b'--x\r\nContent-Disposition: form-data; name="f0"\r\n\r\n-' + b"a" * 900_000
    kind = b"Content-Type: multipart/form-data; boundary=x; charset=" + charset
    answer = exchange(server, post(path, text + b"\r\n--x--\r\n", kind), seconds=5)
    assert status(answer) == 400, answer
    assert "is UTF-8" in answer.decode()


def test_two_content_types_do_not_open_the_limit(api: tuple[Server, str, str]) -> None:
    server, path, _ = api
    kinds = [b"Content-Type: image/jpeg", b"Content-Type: " + PICKLE]
    answer = exchange(server, post(path, PLANT, *kinds))
    assert status(answer) == 400, answer


@pytest.mark.parametrize("value", ["[" * 30_000, "a-" * 60_000, "9" * 10_000, '"\\ud800"'])
def test_odd_fields_are_no_error_of_the_server(api: tuple[Server, str, str], value: str) -> None:
    server, path, field = api
    files = {field: ("a.jpg", PLANT, "image/jpeg")}
    for name in ("crop", "language", "leaves", "nothing"):
        data = {"crop": "maize", name: value}
        answer = httpx.post(f"{server.url}{path}", files=files, data=data, timeout=60)
        assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(lambda: payloads.flat("WEBP", 8000, 8000, method=0), id="webp of 64 MP"),
        pytest.param(lambda: payloads.progressive_with_scans(8000, 8000, 90), id="scans"),
        pytest.param(
            lambda: payloads.jpeg_with_exif(PLANT, payloads.directory(900, 900_000)), id="exif"
        ),
    ],
)
def test_a_heavy_file_is_refused_cheaply(api: tuple[Server, str, str], photo: object) -> None:
    server, path, field = api
    files = {field: ("a.jpg", photo(), "image/jpeg")}
    answer = httpx.post(f"{server.url}{path}", files=files, data={"crop": "x"}, timeout=20)
    assert answer.status_code in (200, 413), answer.text
    assert answer.elapsed.total_seconds() < 3


def test_endless_headers_are_hung_up_on(api: tuple[Server, str, str]) -> None:
    server, _, _ = api
    answer = exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000)
    assert not answer or status(answer) == 431


def test_unknown_paths_are_one_label(decorated: Server) -> None:
    for number in range(50):
        assert httpx.get(f"{decorated.url}/nowhere/{number}").status_code == 404
    text = httpx.get(f"{decorated.url}/metrics").text
    assert "/nowhere" not in text
    assert 'endpoint="/diagnose"' in text


def test_a_path_forges_no_line_of_the_log(decorated: Server) -> None:
    answer = exchange(decorated, b"GET /%0d%0a1.2.3.4 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status(answer) == 400
    assert "\n1.2.3.4" not in decorated.output


def test_the_documents_own_service_is_ready_when_its_gate_is(decorated: Server) -> None:
    """Its scorer dies: the probes answer at once, and it comes back."""
    scorer = decorated.workers("PlantScorer")[0]
    assert httpx.get(f"{decorated.url}/readyz").status_code == 200
    scorer.suspend()
    time.sleep(1.1)  # an answer is good for a second
    try:
        answers = [httpx.get(f"{decorated.url}/readyz", timeout=10) for _ in range(2)]
    finally:
        scorer.kill()
    assert 503 in {answer.status_code for answer in answers}
    assert max(answer.elapsed.total_seconds() for answer in answers) < 4
    psutil.wait_procs([scorer], timeout=10)
    decorated.wait_until_ready(30)
    assert httpx.get(f"{decorated.url}/livez", timeout=20).status_code == 200
    descriptors = decorated.workers("Detector")[0].num_fds()
    for _ in range(50):
        assert httpx.get(f"{decorated.url}/readyz").status_code == 200
    assert decorated.workers("Detector")[0].num_fds() <= descriptors + 3


def test_a_gate_elsewhere_that_is_gone_makes_it_not_ready(tmp_path: Path) -> None:
    gone = "http://127.0.0.1:1"
    with start(tmp_path, TARGETS["elsewhere"], folder=EXAMPLES, GATE_URL=gone) as server:
        server.wait_until_ready(status=503)
        assert httpx.get(f"{server.url}/livez").status_code == 200
