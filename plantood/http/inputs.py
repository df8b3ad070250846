"""How photos enter a service: the request descriptors of ``/check``, ``/check_batch`` and `@gated`.

BentoML's own ``Image`` and ``Path`` inputs answer 500 to a corrupt photo, refuse a raw body, and
download whatever URL a text field holds. These descriptors hand the bytes over untouched, so that
a bad photo becomes a verdict; all other parameters stay what BentoML makes of them. They stay
BentoML descriptors: the API appears in its OpenAPI document, and BentoML's clients and
``bentoml.depends`` can call it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, TypeAlias

import bentoml
import numpy as np
from PIL import Image
from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema, core_schema
from starlette.requests import Request

from plantood.bentoml_private import PickleSerde
from plantood.http.body import (
    content_type,
    files,
    language_of,
    parsed_json,
    raw_body,
    send_each,
    send_one,
    send_several,
)
from plantood.http.form import read_form
from plantood.http.room import settings_of_process
from plantood.http.timeout import ms_told, ms_until
from plantood.http.uploads import bounded
from plantood.photo.forms import as_upload, to_wire
from plantood.refusals import RequestRefused
from plantood.settings import MOST_PHOTOS, Settings

FURTHER_FIELDS = 10
"""Of which nothing is known, in one form."""


class _PhotoField:
    """Pydantic annotation: a photo in any form, shown as a file in the JSON schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.any_schema(
            serialization=core_schema.plain_serializer_function_ser_schema(to_wire)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # "file" is BentoML's own type, which its clients look for; OpenAPI knows binary strings
        if handler.mode == "validation":
            return {"type": "file", "format": "image"}
        return {"type": "string", "format": "binary"}


SentPhoto: TypeAlias = Annotated[Any, _PhotoField()]
Language: TypeAlias = Annotated[
    str | None,
    Field(
        description="Language of the messages, as in `Accept-Language`: `fr`, or `sw, en;q=0.5`. "
        "May also be a query parameter. Default: the header `Accept-Language`."
    ),
]

TimeoutMs: TypeAlias = SkipJsonSchema[int | None]
"""Milliseconds that a caller still waits. In no schema: by HTTP a header says it, and only a call
from another service of the bento has it among its arguments."""


class PhotosInput(bentoml.IODescriptor):
    """Base of the inputs that hold photos.

    Attributes:
        photo_fields: The fields that hold a photo each; or the one that holds a list of photos.
        many: It is a list.
        lists: Fields that are lists, which a form has as several fields of the same name.
        texts: Fields that are text.
    """

    photo_fields: ClassVar[tuple[str, ...]]
    many: ClassVar[bool] = False
    lists: ClassVar[frozenset[str]] = frozenset()
    texts: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def from_inputs(cls, *args: Any, **kwargs: Any) -> bentoml.IODescriptor:
        """Build the input of a call from Python."""
        return cls.with_each_photo(super().from_inputs(*args, **kwargs), as_upload)

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> bentoml.IODescriptor:
        """Read the photos, and whatever else there is, from a request.

        Raises:
            RequestRefused: As :meth:`read`.
        """
        if is_of_the_bento(serde):
            given = await super().from_http_request(request, serde)
            cls.with_each_photo(given, ensure_pixels_or_bytes)
            return given
        told = ms_told(request)
        deadline = asyncio.get_running_loop().time() + (told or 0) / 1000  # the upload counts, too
        values, language = await cls.read(request, settings_of_process())
        left = None if told is None else ms_until(deadline)
        return cls.model_validate(values | {"language": language, "timeout_ms": left})

    @classmethod
    def with_each_photo(
        cls, given: bentoml.IODescriptor, change: Callable[[Any], Any]
    ) -> bentoml.IODescriptor:
        """The same input with something made of each photo."""
        made = {}
        for field in cls.photo_fields:
            photo = getattr(given, field)
            made[field] = [change(one) for one in photo] if cls.many else change(photo)
        return given.model_copy(update=made)

    @classmethod
    async def read(cls, request: Request, settings: Settings) -> tuple[dict[str, Any], str | None]:
        """Values of the fields, photos as uploads; and the language that is asked for.

        Args:
            request: With the body still to come.
            settings: How large a photo may be, and how many there may be in a list.

        Raises:
            RequestRefused: 400, if there is no photo, or too many, or something else in their
                place; 408 or 413, if the body is too slow or too large; 429, if there is no room.
        """
        photos = settings.max_photos if cls.many else len(cls.photo_fields)
        more = sum(settings.max_photos if name in cls.lists else 1 for name in cls.other_files())
        request = bounded(request, settings.max_upload_bytes, photos + more)
        try:
            return await cls._read(request, settings.max_photos)
        except RequestRefused as refused:
            refused.rest = request.receive
            raise

    @classmethod
    def other_files(cls) -> set[str]:
        """Names of the fields that take files beside the photos."""
        return set(cls.multipart_fields) - set(cls.photo_fields)

    @classmethod
    async def _read(cls, request: Request, most: int) -> tuple[dict[str, Any], str | None]:
        """As :meth:`read`, of a body that is bounded already; at most so many in a list."""
        kind = content_type(request)
        if kind != "multipart/form-data":
            if cls.many or len(cls.photo_fields) > 1 or kind == "application/json":
                what = "JSON" if kind == "application/json" else f"This is {kind or 'empty'}, and"
                raise RequestRefused(
                    f"{what} holds no photo. {cls._what_to_send()}", HTTPStatus.BAD_REQUEST
                )
            photo = await raw_body(request)
            if not photo.size and not kind:
                raise RequestRefused(
                    f"The request is empty. {cls._what_to_send()}", HTTPStatus.BAD_REQUEST
                )
            values = {
                name: cls._parsed(name, value)
                for name, value in request.query_params.items()
                if name in cls.model_fields
            }
            return values | {cls.photo_fields[0]: photo}, language_of(request)
        further = len(cls.other_files()) * most
        form = await read_form(
            request,
            max_files=(MOST_PHOTOS if cls.many else len(cls.photo_fields) + 1) + further,
            max_filled=(most if cls.many else len(cls.photo_fields) + 1) + further,
            max_fields=len(cls.model_fields) + FURTHER_FIELDS,
        )
        values = {
            name: form.getlist(name)
            if name in cls.lists & set(cls.multipart_fields)
            else cls._parsed(name, form[name])
            for name in form
            if name not in cls.photo_fields
        }
        for name in cls.photo_fields:
            found = await files(form, name, cls._what_to_send())
            limit = most if cls.many else 1
            if len(found) > limit:
                raise RequestRefused(
                    f"{len(found)} photos `{name}` are more than the limit of {limit} a request; "
                    "send them in several.",
                    HTTPStatus.BAD_REQUEST,
                )
            values[name] = found if cls.many else found[0]
        return values, language_of(request, form.get("language"))

    @classmethod
    def _what_to_send(cls) -> str:
        if len(cls.photo_fields) > 1:
            return send_each(cls.photo_fields)
        return (send_several if cls.many else send_one)(cls.photo_fields[0])

    @classmethod
    def _parsed(cls, name: str, value: Any) -> Any:
        """A field as BentoML reads it: JSON, or else just text; text in any case if it shall be."""
        if not isinstance(value, str):
            return value
        try:
            parsed = parsed_json(value)
        except ValueError:
            return value
        return value if name in cls.texts and not isinstance(parsed, str | None) else parsed


class CheckInput(PhotosInput):
    """One photo: the multipart field ``image``, or the raw body of any other content type."""

    photo_fields = ("image",)

    image: SentPhoto = Field(description="The photo, as the camera wrote it.")
    language: Language = None
    timeout_ms: TimeoutMs = None


class CheckBatchInput(PhotosInput):
    """Several photos: the multipart fields ``images``."""

    photo_fields = ("images",)
    many = True

    images: list[SentPhoto] = Field(description="The photos, as the camera wrote them.")
    language: Language = None
    timeout_ms: TimeoutMs = None


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
