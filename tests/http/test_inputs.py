"""Bodies that no client of ours sends: a photo, or a refusal that says what to send."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import bentoml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.requests import Request

from plantood.http.inputs import CheckBatchInput, CheckInput, language_of, parsed_json
from plantood.judging.messages import Messages
from plantood.refusals import RequestRefused
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
