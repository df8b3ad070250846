"""Bodies that no client of ours sends: a photo, or a refusal that says what to send."""

from __future__ import annotations

import asyncio
import json
import random
from http import HTTPStatus

import bentoml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message

import plantood.http.body
from plantood.http import inputs
from plantood.http.inputs import CheckBatchInput, CheckInput, language_of, parsed_json
from plantood.http.room import Uploads, UploadsFull
from plantood.http.timeout import HEADER as TIMEOUT
from plantood.http.uploads import FORM_OVERHEAD
from plantood.judging.messages import MAX_ACCEPT, Messages
from plantood.refusals import RequestRefused
from plantood.settings import Settings
from tests.strangers import FORMS, KINDS, request


def read(input_: type[bentoml.IODescriptor], asked: Request) -> list[UploadFile]:
    """The photos of a request; none if it was refused as the client's mistake."""
    try:
        given_ = asyncio.run(input_.from_http_request(asked, None))
    except RequestRefused as refused:
        return [] if refused.error_code == HTTPStatus.BAD_REQUEST else pytest.fail(str(refused))
    photos = given_.images if input_ is CheckBatchInput else [given_.image]
    assert photos
    assert all(isinstance(photo, UploadFile) for photo in photos)
    language = given_.language
    assert language is None or Messages.load().negotiate(language) in Messages.load().languages
    return photos


@pytest.mark.parametrize("input_", [CheckInput, CheckBatchInput])
@given(FORMS, KINDS, st.lists(st.integers(0, 1000), max_size=4))
def test_any_form_is_photos_or_refused(
    input_: type[bentoml.IODescriptor], body: bytes, kind: bytes, cuts: list[int]
) -> None:
    read(input_, request(body, kind, cuts))


@pytest.mark.parametrize("input_", [CheckInput, CheckBatchInput])
@given(FORMS, st.lists(st.integers(0, 1000), max_size=4))
def test_any_parts_between_the_right_lines_are_photos_or_refused(
    input_: type[bentoml.IODescriptor], body: bytes, cuts: list[int]
) -> None:
    read(input_, request(body, b"multipart/form-data; boundary=b", cuts))


@given(st.binary(max_size=300), KINDS, st.binary(max_size=40))
def test_any_body_is_a_photo_or_refused(body: bytes, kind: bytes, query: bytes) -> None:
    for photo in read(CheckInput, request(body, kind, query=query)):
        if not kind.lower().startswith(b"multipart/"):
            photo.file.seek(0)
            assert photo.file.read() == body


@given(st.binary(max_size=2000), st.lists(st.integers(0, 3000), max_size=6))
def test_a_photo_in_a_form_arrives_as_it_was_sent(photo: bytes, cuts: list[int]) -> None:
    boundary = b"b" * 60
    head = b'--%b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = head % boundary + b"\xff\xd8" + photo + b"\r\n--%b--\r\n" % boundary
    (sent,) = read(CheckInput, request(body, b"multipart/form-data; boundary=" + boundary, cuts))
    sent.file.seek(0)
    assert sent.file.read() == b"\xff\xd8" + photo


def form(*fields: tuple[bytes, bytes], head: bytes = b"") -> bytes:
    """A form of a photo and other fields."""
    part = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n%b\r\n%b\r\n'
    photo = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n\xff\xd8\r\n'
    return b"".join(part % (name, head, text) for name, text in fields) + photo + b"--b--\r\n"


@pytest.mark.parametrize("charset", [b"punycode", b"undefined", b"hex", b"utf-16", b"idna", b"x"])
@pytest.mark.parametrize("name", [b"language", b"f0", b"_charset_"])
def test_a_form_is_utf_8_whatever_it_claims(charset: bytes, name: bytes) -> None:
    kind = b"multipart/form-data; boundary=b; charset=" + charset
    sent = request(form((name, b"-" + b"a" * 100_000), (b"language", b"fr")), kind)
    assert asyncio.run(CheckInput.from_http_request(sent, None)).language == "fr"
    typed = b"Content-Type: text/plain; charset=" + charset + b"\r\n"
    sent = request(form((b"language", "fran\u00e7ais".encode()), head=typed), kind)
    assert asyncio.run(CheckInput.from_http_request(sent, None)).language == "fran\u00e7ais"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ([(b"language", b"fran\xe7ais")], "not UTF-8"),
        ([(b"f%d" % n, bytes(30_000)) for n in range(5)], "128 kB"),
    ],
)
def test_text_that_is_none_or_too_long_is_refused(
    fields: list[tuple[bytes, bytes]], what: str
) -> None:
    sent = request(form(*fields), b"multipart/form-data; boundary=b")
    with pytest.raises(RequestRefused, match=what) as refused:
        asyncio.run(CheckInput.from_http_request(sent, None))
    assert refused.value.error_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize(("input_", "photos"), [(CheckInput, 1), (CheckBatchInput, 2)])
def test_a_body_of_more_bytes_than_its_photos_may_have_is_refused(
    input_: type[bentoml.IODescriptor],
    photos: int,
    says_so: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = Settings(max_upload_mb=1, max_photos=2)
    monkeypatch.setattr(inputs, "settings_of_process", lambda: small)
    most = photos * small.max_upload_bytes + FORM_OVERHEAD
    head = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    headers = [(b"content-length", b"%d" % (most + 1))] if says_so else []
    body = head + (b"" if says_so else bytes(most))
    sent = request(body, b"multipart/form-data; boundary=b", headers=headers)
    with pytest.raises(RequestRefused, match="1 MB a photo") as refused:
        asyncio.run(input_.from_http_request(sent, None))
    assert refused.value.error_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_the_time_of_the_upload_is_part_of_what_its_sender_waits() -> None:
    sent = request(b"\xff\xd8", b"image/jpeg", headers=[(TIMEOUT.lower().encode(), b"5000")])
    receive = sent._receive

    async def slowly() -> Message:
        await asyncio.sleep(0.2)
        return await receive()

    sent._receive = slowly
    given_ = asyncio.run(CheckInput.from_http_request(sent, None))
    assert 1000 < given_.timeout_ms <= 4800


@pytest.mark.parametrize("query", [b"timeout_ms=1", b"timeout_ms=soon"])
def test_only_a_header_says_how_long_its_sender_waits(query: bytes) -> None:
    sent = request(b"\xff\xd8", b"image/jpeg", query=query)
    assert asyncio.run(CheckInput.from_http_request(sent, None)).timeout_ms is None


def photos_of(body: bytes, cuts: list[int] | None = None, boundary: bytes = b"b") -> list[bytes]:
    kind = b"multipart/form-data; boundary=" + boundary
    photos = asyncio.run(CheckBatchInput.from_http_request(request(body, kind, cuts or []), None))
    for photo in photos.images:
        photo.file.seek(0)
    return [photo.file.read() for photo in photos.images]


def photo_part(data: bytes, head: bytes = b"", after: bytes = b"") -> bytes:
    """A part of a form with a photo; its first line and whatever is behind the boundary in it."""
    disposition = b'Content-Disposition: form-data; name="images"; filename="a.jpg"'
    return b"--b" + after + b"\r\n" + disposition + b"\r\n" + head + b"\r\n" + data + b"\r\n"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (photo_part(b"\xff\r\n--bX\xff"), "goes on behind the boundary"),
        (photo_part(b"\xff\r\n--b-X\xff"), "goes on behind the boundary"),
        (photo_part(b"\xff\r\n--b\rX\xff"), "goes on behind the boundary"),
        (photo_part(b"\xff") + b"--b--\r\n--bX", "goes on behind the boundary"),
        (photo_part(b"\xff") + b"--b--\r\n" + b"x" * 200_000, "128 kB"),
        (photo_part(b"\xff") + photo_part(b"\xff", after=b" "), "goes on behind the boundary"),
        (photo_part(b"\xff") + photo_part(b"\xff", after=b"\t"), "goes on behind the boundary"),
        (photo_part(b"\xff", b"X: " + b" " * 4000 + b"y\r\n") * 40, "128 kB"),
        (photo_part(b"\xff", b"x" * 4000 + b": \r\n") * 40, "128 kB"),
        (photo_part(b"\xff").replace(b"a.jpg", b";" * 30), "too many parameters"),
        (photo_part(b"\xff") * 65, "more files than the limit of 64"),
    ],
    ids=[
        "no line",
        "no last line",
        "a line that does not end",
        "behind the form",
        "much behind it",
        "spaces behind a boundary",
        "tabs",
        "spaces in headers",
        "long names of headers",
        "parameters",
        "files",
    ],
)
@pytest.mark.parametrize("size", [None, 13, 4096])
def test_what_a_form_does_not_need_is_refused(
    body: bytes, sentence: str, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever pieces it arrives in; most of these take the parser hundreds of times as long."""
    monkeypatch.setattr(inputs, "settings_of_process", lambda: Settings(max_photos=64))
    cuts = list(range(size, len(body), size)) if size else []
    with pytest.raises(RequestRefused, match=sentence) as refused:
        photos_of(body + b"--b--\r\n", cuts)
    assert refused.value.error_code == HTTPStatus.BAD_REQUEST


NEARLY = st.sampled_from([b"\r\n--", b"\r\n", b"--", b"b", b" ", b"X", b"\r", b"\r\n--a"])


@given(st.lists(NEARLY, max_size=30), st.lists(st.integers(0, 500), max_size=6))
def test_what_is_nearly_a_line_between_parts_is_data(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"\xff" + b"".join(pieces)
    form = photo_part(data) + b"--b--\r\n"
    try:
        assert photos_of(form, cuts) == [data.partition(b"\r\n--b--")[0]]
    except RequestRefused:
        assert b"\r\n--b" in data
        with pytest.raises(RequestRefused):  # in whatever pieces
            photos_of(form)


def test_photos_have_whatever_bytes_they_have_also_with_the_shortest_boundary() -> None:
    photos = [random.Random(seed).randbytes(1_000_000) for seed in range(3)]
    body = b"".join(photo_part(photo) for photo in photos) + b"--b--\r\n"
    assert photos_of(body, list(range(65_536, len(body), 65_536))) == photos


def test_a_form_names_its_boundary() -> None:
    for boundary in (b"", b'""'):
        with pytest.raises(RequestRefused, match="boundary"):
            photos_of(photo_part(b"\xff") + b"--b--\r\n", boundary=boundary)


def test_files_without_anything_in_them_are_no_photos() -> None:
    """Browsers send one for each input in which nothing was chosen."""
    empty = photo_part(b"").replace(b"a.jpg", b"")
    assert photos_of(empty * 100 + photo_part(b"\xff") + b"--b--\r\n") == [b"\xff"]


def test_the_headers_of_many_parts_are_bounded_together() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n'
    part += b"".join(b"X%d: " % n + b"x" * 4000 + b"\r\n" for n in range(7)) + b"\r\n\xff\xd8\r\n"
    sent = request(part * 16 + b"--b--\r\n", b"multipart/form-data; boundary=b")
    with pytest.raises(RequestRefused, match="128 kB"):
        asyncio.run(CheckBatchInput.from_http_request(sent, None))


def test_a_photo_whose_upload_is_refused_takes_no_room_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for the garbage collector, which seldom comes."""
    room = Uploads(10_000)
    monkeypatch.setattr(plantood.http.body, "uploads_of_process", lambda: room)

    async def scenario() -> RequestRefused:
        sent = request(b"\xff\xd8" + bytes(20_000), b"image/jpeg", cuts=range(1000, 20_000, 1000))
        with pytest.raises(UploadsFull) as refused:
            await CheckInput.from_http_request(sent, None)
        return refused.value

    refused = asyncio.run(scenario())  # as whoever answers it holds it
    assert (room.bytes, room.in_memory) == (0, 0), refused


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(JSON.map(json.dumps) | st.text(max_size=60) | st.text('[]{}",:\\ud8c0', max_size=60))
def test_any_text_is_json_that_can_be_sent_on_or_none(text: str) -> None:
    try:
        value = parsed_json(text)
    except ValueError:
        return
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize("bracket", ["[", '{"a":', "[[[{"])
@given(st.integers(1, 200_000))
def test_json_of_any_depth_is_none(bracket: str, depth: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of the parser, or nested too deeply)
        parsed_json(bracket * depth)


@given(st.text(max_size=200) | JSON.map(json.dumps) | st.none(), st.binary(max_size=40))
def test_any_field_is_a_language_or_none(field: str | None, query: bytes) -> None:
    found = language_of(request(b"", b"", query=query), field)
    assert found is None or isinstance(found, str)


@pytest.mark.parametrize(
    "long", ["fr," * 3000, "a-" * 4000, "fr" + " " * 9000, "\U0001f33f," * 999]
)
def test_no_more_of_a_language_is_kept_than_is_looked_at(long: str) -> None:
    header = [(b"accept-language", long.encode())]
    for asked in (
        language_of(request(b"", b""), long),
        language_of(request(b"", b""), json.dumps(long)),
        language_of(request(b"", b"", query=b"language=" + long.encode())),
        language_of(request(b"", b"", headers=header)),
    ):
        assert asked is None or len(asked) <= MAX_ACCEPT
        if asked and long.startswith("fr,"):
            assert Messages.load().negotiate(asked) == "fr"
