"""How photos enter the service: the request descriptors of ``/check`` and ``/check_batch``.

BentoML's own ``Image`` and ``Path`` inputs answer 500 to a corrupt photo, refuse a raw body, and
download whatever URL a text field holds. These descriptors hand the bytes over untouched, so that
a bad photo becomes a verdict. They stay BentoML descriptors: the API appears in its OpenAPI
document, and BentoML's clients and ``bentoml.depends`` can call it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, BinaryIO, TypeAlias

import bentoml
from bentoml.exceptions import BentoMLException
from PIL import Image
from pydantic import Field
from pydantic.json_schema import GetJsonSchemaHandler, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse

from .images import Photo

PhotoInput: TypeAlias = Photo | UploadFile

PICKLE = "application/vnd.bentoml+pickle"
"""What BentoML speaks between the services of one bento, never on the public port."""

SPOOL_BYTES = 4 << 20
"""A photo above this size waits on disk, so that many slow uploads do not fill the memory. Most
photos of a phone are below it: writing them out piece by piece would cost as much processor time
as the rest of receiving them."""
MultiPartParser.spool_max_size = SPOOL_BYTES


class RequestRefused(BentoMLException):
    """The request itself cannot be answered; the message says why and what to send."""

    def __init__(self, message: str, status: HTTPStatus) -> None:
        super().__init__(message, error_code=status)


def error(message: str, status: int) -> JSONResponse:
    """Every error of the service: ``{"error": "one sentence"}``."""
    headers = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse({"error": message}, status, headers)


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


def as_upload(photo: Any) -> Any:
    """What BentoML's HTTP client can upload; other services of the bento get it too.

    A Pillow image that was opened but not decoded yet is its file: BentoML's client would send
    what Pillow has left unread of it.
    """
    if isinstance(photo, Image.Image) and getattr(photo, "fp", None) is not None:
        position = photo.fp.tell()
        photo.fp.seek(0)
        data = photo.fp.read()
        photo.fp.seek(position)
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
        kind = content_type(request)
        if kind == PICKLE:
            return await super().from_http_request(request, serde)
        if kind == "multipart/form-data":
            form = await request.form(max_files=2, max_fields=10)
            photos = files(form, "image", send_one("image"))
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
        kind = content_type(request)
        if kind == PICKLE:
            return await super().from_http_request(request, serde)
        if kind != "multipart/form-data":
            raise RequestRefused(
                f"This is {kind or 'empty'}, not a form. {send_several('images')}",
                HTTPStatus.BAD_REQUEST,
            )
        form = await request.form(max_files=256, max_fields=10)
        photos = files(form, "images", send_several("images"))
        return cls(images=photos, language=language_of(request, form.get("language")))


# BentoML finds file fields by their type, and these are of any type
CheckInput.multipart_fields = ["image"]
CheckBatchInput.multipart_fields = ["images"]


def content_type(request: Request) -> str:
    """The content type without its parameters, in lower case; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read(photo: PhotoInput, keep: bool = False) -> Photo:
    """The photo in a form that the gate judges; an upload's bytes, then its file is closed.

    Blocks while it reads from disk, so it belongs into a thread.

    Args:
        photo: An upload, or any form of a photo, which stays as it is.
        keep: Leave the upload's file open, since it will be read again.
    """
    if not isinstance(photo, UploadFile):
        return photo
    photo.file.seek(0)
    data = photo.file.read()
    if not keep:
        photo.file.close()
    return data


async def raw_body(request: Request) -> UploadFile:
    """The whole body as an upload."""
    photo = UploadFile(SpooledTemporaryFile(max_size=SPOOL_BYTES), size=0)  # noqa: SIM115
    async for chunk in request.stream():
        await photo.write(chunk)
    return photo


def files(form: FormData, field: str, what_to_send: str) -> list[UploadFile]:
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
            found.append(value)
    if not found:
        raise RequestRefused(
            f"The field `{field}` is missing. {what_to_send}", HTTPStatus.BAD_REQUEST
        )
    return found


def language_of(request: Request, field: Any = None) -> str | None:
    """The language asked for: form field, then query parameter, then ``Accept-Language``."""
    if isinstance(field, str) and field:
        with contextlib.suppress(ValueError):  # BentoML's clients send form fields as JSON
            field = json.loads(field)
        if isinstance(field, str) and field:
            return field
    return request.query_params.get("language") or request.headers.get("accept-language")
