"""What a gated method is sent by strangers: its photos, or one refusal; nothing is served here."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError
from starlette.datastructures import UploadFile

from plantood.compose.method.request import GatedInput, Sent, input_of
from plantood.compose.method.signature import read_signature
from plantood.refusals import RequestRefused
from tests.strangers import FORMS, KINDS, request

MISTAKES = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class Takes:
    def one(self, image: bytes, crop: str = "", leaves: int = 1) -> str: ...
    def many(self, images: list[bytes], note: str = "") -> list[str]: ...
    def beside_a_picture(self, image: bytes, mask: PIL.Image.Image) -> str: ...
    def few(self, images: Annotated[list[bytes], Field(max_length=2)]) -> list[str]: ...
    def two(self, image: bytes, images: Path) -> str: ...
    def beside_a_file(self, image: bytes, x: Path | None = None) -> str: ...


def _input(method: str) -> type[GatedInput]:
    photos = {"two": ["image", "images"], "beside_a_file": "image", "beside_a_picture": "image"}
    return input_of(read_signature(getattr(Takes, method), photos.get(method)))


def _form(*files: tuple[str, str, bytes]) -> Any:
    """A request with files: each a field, a name and bytes."""
    head = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
    parts = [head % (field.encode(), name.encode(), data) for field, name, data in files]
    return request(b"".join(parts) + b"--b--\r\n", b"multipart/form-data; boundary=b", [])


def test_a_bound_on_the_number_of_photos_holds() -> None:
    photo = ("images", "a.jpg", b"\xff\xd8")
    assert all(isinstance(one, Sent) for one in _photos(_input("few"), _form(photo, photo)))
    (refused,) = _photos(_input("few"), _form(photo, photo, photo))
    assert refused.error_code == HTTPStatus.BAD_REQUEST
    assert "`images` is not as it should be: List should have at most 2" in str(refused)


def test_a_picture_beside_the_photo_that_is_none_is_refused_in_a_sentence() -> None:
    with pytest.warns(UserWarning, match="lets any mask through"):
        input_ = _input("beside_a_picture")
    form = _form(("image", "a.jpg", b"\xff\xd8"), ("mask", "mask.png", b"no picture"))
    refused, *_ = _photos(input_, form)
    assert (refused.error_code, "beside the photo" in str(refused)) == (400, True)


CUTS = st.lists(st.integers(0, 2000), max_size=4)
METHODS = {name: _input(name) for name in ("one", "many", "two", "beside_a_file")}


def _photos(input_: type[GatedInput], sent: Any) -> list[Any]:
    """What came as the photos; none if another field is of the wrong kind: BentoML answers that."""
    try:
        given_ = asyncio.run(input_.from_http_request(sent, None))
    except ValidationError:
        return []
    fields = [getattr(given_, name) for name in input_.photo_fields]
    return [photo for field in fields for photo in (field if input_.many else [field])]


@pytest.mark.parametrize("method", METHODS)
@given(FORMS, KINDS, CUTS, st.binary(max_size=20))
def test_any_body_is_photos_or_refused(
    method: str, body: bytes, kind: bytes, cuts: list[int], query: bytes
) -> None:
    photos = _photos(METHODS[method], request(body, kind, cuts, query))
    refused = [photo for photo in photos if isinstance(photo, RequestRefused)]
    assert all(one.error_code in MISTAKES for one in refused)
    if not refused:
        assert all(isinstance(photo, Sent) for photo in photos)
        assert all(isinstance(photo.photo, UploadFile) for photo in photos)


@pytest.mark.parametrize("method", ["one", "many", "beside_a_file"])
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), CUTS)
def test_photos_in_a_form_arrive_as_they_were_sent(
    method: str, photos: list[bytes], cuts: list[int]
) -> None:
    input_ = METHODS[method]
    # begins as a photo does: what begins as text that stands for one is refused in a sentence
    photos = [b"\xff\xd8" + photo for photo in (photos if input_.many else photos[:1])]
    boundary, (name,) = b"b" * 60, input_.photo_fields
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="a.jpg"\r\n\r\n%b\r\n'
    parts = [head % (boundary, name.encode(), photo) for photo in photos]
    body = b"".join(parts) + b"--%b--\r\n" % boundary
    sent = request(body, b"multipart/form-data; boundary=" + boundary, cuts)
    arrived = _photos(input_, sent)
    for photo in arrived:
        photo.photo.file.seek(0)
    assert [photo.photo.file.read() for photo in arrived] == photos
