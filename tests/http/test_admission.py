from __future__ import annotations

import asyncio
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from python_multipart.multipart import parse_options_header

from plantood.http.admission import PICKLE, Places, ensure_plain
from plantood.refusals import RequestRefused
from tests.strangers import KINDS

Headers = list[tuple[bytes, bytes]]


def _scope(headers: Headers, path: str = "/check") -> dict[str, Any]:
    return {"type": "http", "path": path, "headers": headers}


@pytest.mark.parametrize(
    "kind",
    [
        b"image/jpeg",
        b"Image/JPEG",
        b"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
        b'text/plain; charset="utf-8"',
        b"application/x-www-form-urlencoded",
        b" image/png ",
        b"image/jpeg; charset=binary",
        b"multipart/form-data; boundary=b; charset=UTF-8",
        b'Multipart/Form-Data; charset="us-ascii"; boundary=b',
        b"",
    ],
)
def test_a_usual_content_type_passes(kind: bytes) -> None:
    ensure_plain(_scope([(b"content-type", kind), (b"content-encoding", b"identity")]))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-type", b"image/jpeg"), (b"content-type", b"image/jpeg")], 400),
        ([(b"content-length", b"1"), (b"content-length", b"2")], 400),
        ([(b"host", b"a"), (b"host", b"b")], 400),
        ([(b"content-type", b"image/jpeg, image/png")], 400),
        ([(b"content-type", b"image")], 400),
        ([(b"content-type", b"image/jpeg\xff")], 400),
        ([(b"content-type", b"a/" + b"b" * 1000)], 400),
        ([(b"content-type", PICKLE.encode())], 415),
        ([(b"content-type", PICKLE.upper().encode())], 415),
        ([(b"content-type", b" " + PICKLE.encode() + b"; a=b")], 415),
        ([(b"content-encoding", b"gzip")], 415),
        ([(b"transfer-encoding", b"gzip, chunked")], 415),
        ([(b"transfer-encoding", b"chunked, chunked")], 415),
        ([(b"transfer-encoding", b"identity")], 415),
        ([(b"transfer-encoding", b"gzip"), (b"transfer-encoding", b"chunked")], 400),
        ([(b"content-type", b"multipart/form-data; boundary=b; charset=punycode")], 400),
        ([(b"content-type", b"multipart/form-data; charset=utf-8; Charset = undefined")], 400),
        ([(b"content-type", b'MULTIPART/form-data; charset="utf-16"; boundary=b')], 400),
        ([(b"content-type", b"multipart/mixed; charset=idna")], 400),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(headers: Headers, status: int) -> None:
    with pytest.raises(RequestRefused) as refused:
        ensure_plain(_scope(headers))
    assert refused.value.error_code == status


NAMES = st.sampled_from(
    [b"content-type", b"content-length", b"content-encoding", b"transfer-encoding", b"host"]
)
TYPES = st.builds(
    lambda kind, charset: kind + b"; charset=" + charset,
    KINDS,
    st.sampled_from([b"utf-8", b'"UTF-8"', b"punycode", b"utf-8'", b""]) | st.binary(max_size=9),
)


@given(st.lists(st.tuples(NAMES, KINDS | TYPES), max_size=4), st.text(max_size=9), st.booleans())
@example([(b"content-type", b"multipart/form-data; charset*=utf-8''punycode")], "/", False)
def test_what_passes_can_be_read_in_one_way(headers: Headers, path: str, pickles: bool) -> None:
    refused = None
    try:
        ensure_plain(_scope(headers, path), pickles)
    except RequestRefused as error:
        refused = error
    if refused is not None:
        assert refused.error_code in (400, 415)
        assert str(refused).isprintable()
        return
    assert len({name for name, _ in headers}) == len(headers)
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in path)
    kind = dict(headers).get(b"content-type", b"").strip().lower()
    assert pickles or not kind.startswith(PICKLE.encode())
    if kind.startswith(b"multipart/"):
        _, options = parse_options_header(kind)
        assert b"".decode(options.get(b"charset", b"utf-8").decode("ascii")) == ""
        assert options.get(b"charset", b"utf-8") in (b"utf-8", b"utf8", b"us-ascii", b"ascii")


def test_a_host_is_named_since_http_1_1() -> None:
    ensure_plain(_scope([]) | {"http_version": "1.0"})
    ensure_plain(_scope([(b"host", b"")]) | {"http_version": "1.1"})
    with pytest.raises(RequestRefused) as refused:
        ensure_plain(_scope([]) | {"http_version": "1.1"})
    assert refused.value.error_code == 400


def test_another_service_of_the_bento_sends_pickles_in_the_one_way_that_bentoml_does() -> None:
    ensure_plain(_scope([(b"content-type", PICKLE.encode())]), pickles=True)
    with pytest.raises(RequestRefused):
        ensure_plain(_scope([(b"content-type", PICKLE.upper().encode())]), pickles=True)


@pytest.mark.parametrize("path", ["/a\r\nb", "/a\x00", "/\x1b[2J", "/\u2028", "/\x85"])
def test_a_path_cannot_write_a_line_of_its_own_into_a_log(path: str) -> None:
    with pytest.raises(RequestRefused):
        ensure_plain(_scope([], path))


def test_a_request_takes_a_place_when_its_upload_is_complete() -> None:
    """Three come at once, for one place: one still uploads, one is judged, one is refused."""

    async def scenario() -> None:
        events: dict[str, asyncio.Queue[dict[str, Any]]] = {n: asyncio.Queue() for n in "abc"}
        read: dict[str, asyncio.Event] = {n: asyncio.Event() for n in "abc"}
        may_end = asyncio.Event()

        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            while (await receive()).get("more_body"):
                pass
            read[scope["path"]].set()
            await may_end.wait()

        places = Places(app, 1)
        running = {
            name: asyncio.create_task(
                places({"type": "http", "path": name}, events[name].get, None)
            )
            for name in "abc"
        }
        events["a"].put_nowait({"type": "http.request", "body": b"x", "more_body": True})
        events["b"].put_nowait({"type": "http.request", "body": b"x", "more_body": False})
        await asyncio.wait_for(read["b"].wait(), 2)
        events["c"].put_nowait({"type": "http.request", "body": b"x", "more_body": False})
        with pytest.raises(RequestRefused) as refused:
            await running["c"]
        assert refused.value.error_code == 429
        may_end.set()
        await running["b"]
        events["a"].put_nowait({"type": "http.request", "body": b"x", "more_body": False})
        await running["a"]
        assert places.taken == 0

    asyncio.run(scenario())
