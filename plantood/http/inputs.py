"""How photos enter the service: the request descriptors of ``/check`` and ``/check_batch``.

BentoML's own ``Image`` and ``Path`` inputs answer 500 to a corrupt photo, refuse a raw body, and
download whatever URL a text field holds. These descriptors hand the bytes over untouched, so that
a bad photo becomes a verdict. They stay BentoML descriptors: the API appears in its OpenAPI
document, and BentoML's clients and ``bentoml.depends`` can call it.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO, TypeAlias

import bentoml
import numpy as np
from PIL import Image
from pydantic import Field
from pydantic.json_schema import GetJsonSchemaHandler, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from plantood.bentoml_private import PickleSerde
from plantood.http.uploads import uploads_of_process
from plantood.judging.messages import MAX_ACCEPT
from plantood.photo.images import Photo
from plantood.refusals import RequestRefused

PhotoInput: TypeAlias = Photo | UploadFile

_URL_ENCODED = "application/x-www-form-urlencoded"
_MISTAKES = {
    b"data:": "a data URL",
    b"/9j/": "base64",
    b"iVBORw0KGgo": "base64",
    b"UklGR": "base64",
    b"R0lGOD": "base64",
    b"\x1f\x8b": "compressed with gzip",
    b"{": "JSON",
    b'["': "JSON",
    b"image=": "text in the place of a file (a missing @?)",
    b"photo=": "text in the place of a file (a missing @?)",
}
"""How a body begins that is no photo: base64 of JPEG, PNG, WebP and GIF, and the like."""


def send_one(field: str) -> str:
    """What to send to an API that takes one photo."""
    return (
        f"Send the photo as the multipart field `{field}` (curl -F {field}=@photo.jpg URL), or as "
        "the raw body (curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' URL)."
    )


def send_several(field: str) -> str:
    """What to send to an API that takes several photos."""
    return (
        f"Send each photo as a multipart field `{field}` "
        f"(curl -F {field}=@first.jpg -F {field}=@second.jpg URL)."
    )


def send_each(fields: Sequence[str]) -> str:
    """What to send to an API that takes one photo in each of several fields."""
    example = " ".join(f"-F {field}=@{field}.jpg" for field in fields)
    return f"Send each photo as the multipart field of its name (curl {example} URL)."


class _PhotoBytes(io.BytesIO, BinaryIO):
    """Bytes in the one form that BentoML's HTTP client uploads without a file on disk."""

    name = "photo"


class _PhotoField:
    """Pydantic annotation: a photo in any form, shown as a file in the JSON schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.any_schema(
            serialization=core_schema.plain_serializer_function_ser_schema(_to_wire)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # "file" is BentoML's own type, which its clients look for; OpenAPI knows binary strings
        if handler.mode == "validation":
            return {"type": "file", "format": "image"}
        return {"type": "string", "format": "binary"}


def _to_wire(photo: Any) -> Any:
    """What travels to another service of the bento: the file's bytes, or the pixels as given."""
    if isinstance(photo, _PhotoBytes):
        return photo.getvalue()
    if isinstance(photo, (str, os.PathLike)):
        with open(photo, "rb") as file:  # noqa: PTH123 (a str or any PathLike)
            return file.read()
    return photo


def file_of(image: Image.Image) -> bytes | None:
    """All bytes of the file of a Pillow image that was opened but not decoded yet, else None."""
    file = getattr(image, "fp", None)
    if file is None:
        return None
    position = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(position)
    return data


def as_upload(photo: Any) -> Any:
    """What BentoML's HTTP client can upload; other services of the bento get it too.

    A Pillow image that was opened but not decoded yet is its file: BentoML's client would send
    what Pillow has left unread of it.
    """
    if isinstance(photo, Image.Image) and (data := file_of(photo)) is not None:
        return _PhotoBytes(data)
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return _PhotoBytes(photo)
    return photo


PhotoFile: TypeAlias = Annotated[Any, _PhotoField()]
Language: TypeAlias = Annotated[
    str | None,
    Field(
        description="Language of the messages, as in `Accept-Language`: `fr`, or `sw, en;q=0.5`. "
        "May also be a query parameter. Default: the header `Accept-Language`."
    ),
]


class CheckInput(bentoml.IODescriptor):
    """One photo: the multipart field ``image``, or the raw body of any other content type."""

    image: PhotoFile = Field(description="The photo, as the camera wrote it.")
    language: Language = None

    @classmethod
    def from_inputs(cls, *args: Any, **kwargs: Any) -> CheckInput:
        """Build the input of a call from Python."""
        given = super().from_inputs(*args, **kwargs)
        return given.model_copy(update={"image": as_upload(given.image)})

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> CheckInput:
        """Read one photo from a request.

        Raises:
            RequestRefused: 400, if no photo was sent.
        """
        if is_of_the_bento(serde):
            given = await super().from_http_request(request, serde)
            ensure_pixels_or_bytes(given.image)
            return given
        kind = content_type(request)
        if kind == "multipart/form-data":
            form = await read_form(request, max_files=2, max_fields=10)
            photos = await files(form, "image", send_one("image"))
            if len(photos) > 1:
                raise RequestRefused(
                    "There are several fields `image`; send several photos to /check_batch.",
                    HTTPStatus.BAD_REQUEST,
                )
            return cls(image=photos[0], language=language_of(request, form.get("language")))
        if kind == "application/json":
            raise RequestRefused(
                f"JSON holds no photo. {send_one('image')}", HTTPStatus.BAD_REQUEST
            )
        photo = await raw_body(request)
        if not photo.size and not kind:
            raise RequestRefused(
                f"The request is empty. {send_one('image')}", HTTPStatus.BAD_REQUEST
            )
        return cls(image=photo, language=language_of(request))


class CheckBatchInput(bentoml.IODescriptor):
    """Several photos: the multipart fields ``images``."""

    images: list[PhotoFile] = Field(description="The photos, as the camera wrote them.")
    language: Language = None

    @classmethod
    def from_inputs(cls, *args: Any, **kwargs: Any) -> CheckBatchInput:
        """Build the input of a call from Python."""
        given = super().from_inputs(*args, **kwargs)
        return given.model_copy(update={"images": [as_upload(photo) for photo in given.images]})

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> CheckBatchInput:
        """Read the photos from a request.

        Raises:
            RequestRefused: 400, if no photo was sent.
        """
        if is_of_the_bento(serde):
            given = await super().from_http_request(request, serde)
            for photo in given.images:
                ensure_pixels_or_bytes(photo)
            return given
        kind = content_type(request)
        if kind != "multipart/form-data":
            raise RequestRefused(
                f"This is {kind or 'empty'}, not a form. {send_several('images')}",
                HTTPStatus.BAD_REQUEST,
            )
        form = await read_form(request, max_files=256, max_fields=10)
        photos = await files(form, "images", send_several("images"))
        return cls(images=photos, language=language_of(request, form.get("language")))


# BentoML finds file fields by their type, and these are of any type
CheckInput.multipart_fields = ["image"]
CheckBatchInput.multipart_fields = ["images"]


def is_of_the_bento(serde: Any) -> bool:
    """Whether another service of the bento calls, which BentoML alone decides.

    Its main service refuses pickles from outside, by its own reading of the content type. To read
    the header here once more would open a way around that wherever the two readings differ.
    """
    return isinstance(serde, PickleSerde)


def ensure_pixels_or_bytes(photo: Any) -> None:
    """Refuse whatever else a request may hold in place of a photo, above all a path.

    Raises:
        RequestRefused: 400.
    """
    if not isinstance(photo, (bytes, bytearray, memoryview, np.ndarray, Image.Image)):
        raise RequestRefused(
            f"A photo is sent as its bytes or pixels, not as {type(photo).__name__}.",
            HTTPStatus.BAD_REQUEST,
        )


def content_type(request: Request) -> str:
    """The content type without its parameters, in lower case; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read(photo: PhotoInput) -> Photo:
    """The photo in a form that the gate judges; of an upload all of its bytes.

    Blocks while it reads from disk, so it belongs into a thread.
    """
    if not isinstance(photo, UploadFile):
        return photo
    photo.file.seek(0)
    return photo.file.read()


def close(photo: PhotoInput) -> None:
    """Make room for other uploads: this one will not be read again. Blocks as :func:`read` does."""
    if isinstance(photo, UploadFile):
        photo.file.close()


async def raw_body(request: Request) -> UploadFile:
    """The whole body as an upload.

    Raises:
        RequestRefused: 429, if there is no room for it.
    """
    kind = content_type(request)
    if kind.startswith("multipart/"):
        raise RequestRefused(
            f"This is {kind}; a form with a photo is multipart/form-data.", HTTPStatus.BAD_REQUEST
        )
    headers = Headers({"content-type": kind})
    photo = UploadFile(uploads_of_process().open(), size=0, headers=headers)
    async for chunk in request.stream():
        await photo.write(chunk)
    await ensure_no_text(photo)
    return photo


async def ensure_no_text(photo: UploadFile) -> None:
    """Refuse what whoever wrote the client has to mend, and no farmer can by another photo.

    Raises:
        RequestRefused: 400, naming the mistake.
    """
    await photo.seek(0)
    start = (await photo.read(64)).lstrip()
    for beginning, what in _MISTAKES.items():
        if start.startswith(beginning):
            raise RequestRefused(
                f"This is {what}; send the photo's own bytes.", HTTPStatus.BAD_REQUEST
            )


def why_not_the_farmer(photo: Any) -> str | None:
    """For a photo that cannot be read: what whoever wrote the client did wrong, if he did."""
    if isinstance(photo, UploadFile) and photo.content_type == _URL_ENCODED:
        return (
            "The photo cannot be read. It came as application/x-www-form-urlencoded: curl -d "
            "changes what it sends; use --data-binary or -F."
        )
    return None


async def read_form(request: Request, *, max_files: int, max_fields: int) -> FormData:
    """The fields and files of a multipart form.

    Raises:
        RequestRefused: 400, if it cannot be read; 429, if there is no room for it.
    """
    parser = _FormParser(
        request.headers, request.stream(), max_files=max_files, max_fields=max_fields
    )
    try:
        return await parser.parse()
    except MultiPartException as broken:
        raise RequestRefused(
            f"The form cannot be read: {broken.message}", HTTPStatus.BAD_REQUEST
        ) from None


class _FormParser(MultiPartParser):
    """Starlette's parser, whose files are counted."""

    def on_headers_finished(self) -> None:
        part = self._current_part
        kind = dict(part.item_headers).get(b"content-type", b"").lower()
        if part.content_disposition and kind.startswith((b"image/", b"application/octet-stream")):
            _, options = parse_options_header(part.content_disposition)
            if b"filename" not in options:  # some clients name none, and mean a file all the same
                part.content_disposition += b'; filename="photo"'
        super().on_headers_finished()
        theirs = self._current_part.file
        if theirs is not None:
            file = uploads_of_process().open()
            self._files_to_close_on_error[-1] = file
            self._current_part.file = UploadFile(
                file, size=0, filename=theirs.filename, headers=theirs.headers
            )


async def files(form: FormData, field: str, what_to_send: str) -> list[UploadFile]:
    """The uploaded files of a field; at least one.

    Raises:
        RequestRefused: 400, if there is none, or text in place of a file.
    """
    found = []
    for value in form.getlist(field):
        if isinstance(value, str):
            raise RequestRefused(
                f"The field `{field}` holds text, not a file (a missing @?). {what_to_send}",
                HTTPStatus.BAD_REQUEST,
            )
        if value.size or value.filename:  # a browser sends neither if no file was chosen
            await ensure_no_text(value)
            found.append(value)
    if not found:
        raise RequestRefused(
            f"The field `{field}` is missing. {what_to_send}", HTTPStatus.BAD_REQUEST
        )
    return found


def parsed_json(text: str) -> Any:
    """What a text says as JSON.

    Raises:
        ValueError: It is none, or nested too deeply to be read.
    """
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():  # half of a character is one of no encoding
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def language_of(request: Request, field: Any = None) -> str | None:
    """The language asked for: form field, then query parameter, then ``Accept-Language``."""
    if isinstance(field, str) and field:
        if field.startswith('"') or field == "null":  # BentoML's clients send form fields as JSON
            try:
                field = parsed_json(field[: MAX_ACCEPT + 2])
            except ValueError:
                field = None
        if isinstance(field, str) and field:
            return field
    return request.query_params.get("language") or request.headers.get("accept-language")
