"""The request of a gated API: BentoML's, with the photo read as the gate reads photos.

BentoML's own ``Image`` and ``Path`` inputs answer 500 to a corrupt photo, refuse a raw body, and
download whatever URL a text field holds. Here the photo's bytes are handed over untouched; all
other parameters stay what BentoML makes of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, get_origin

import bentoml
from pydantic import Field, create_model
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request

from plantood.compose.signature import Signature
from plantood.http.admission import ensure_plain
from plantood.http.inputs import (
    PhotoFile,
    PhotoInput,
    as_upload,
    content_type,
    ensure_pixels_or_bytes,
    files,
    is_of_the_bento,
    language_of,
    parsed_json,
    raw_body,
    read_form,
    send_each,
    send_one,
    send_several,
)
from plantood.http.uploads import bounded
from plantood.refusals import RequestRefused
from plantood.settings import Settings

MAX_FILES, MAX_FIELDS = 1000, 1000
"""In one form; Starlette's own limits."""


@dataclass(frozen=True, eq=False)
class Sent:
    """A photo as it came with a request, and the language that its sender asked for."""

    photo: PhotoInput
    language: str | None = None


class _NeverRoot(type(bentoml.IODescriptor)):
    """Keeps a descriptor from being a root input.

    BentoML takes a whole input from a method's only positional parameter, and then marks it as a
    root input: its clients would no longer name the arguments. There is no other way to give an
    input to ``@bentoml.api`` from inside.
    """

    __root_input__ = property(lambda cls: False, lambda cls, value: None)


class GatedInput(bentoml.IODescriptor, metaclass=_NeverRoot):
    """Base of the inputs of gated APIs.

    A request that cannot be read is not an exception, but an input whose photo is a
    `RequestRefused`: BentoML would log a stack trace for a missing field.

    Attributes:
        photo_fields: The fields that hold a photo each; or the one that holds a list of photos.
        many: It is a list.
        lists: Fields that are lists, which a form has as several fields of the same name.
        texts: Fields that are text.
    """

    photo_fields: ClassVar[tuple[str, ...]]
    many: ClassVar[bool]
    lists: ClassVar[frozenset[str]]
    texts: ClassVar[frozenset[str]]

    @classmethod
    def from_inputs(cls, *args: Any, **kwargs: Any) -> GatedInput:
        """Build the input of a call from Python."""
        given = super().from_inputs(*args, **kwargs)
        return cls._with_each_photo(given, as_upload)

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> GatedInput:
        """Read a request; a photo comes as :class:`Sent`."""
        if is_of_the_bento(serde):
            given = await super().from_http_request(request, serde)
            cls._with_each_photo(given, ensure_pixels_or_bytes)
            return cls._with_each_photo(given, Sent)
        try:
            ensure_plain(request.scope)
            return cls.model_validate(await cls._read(request))
        except RequestRefused as refused:
            return cls._refused(refused)
        except ClientDisconnect:
            return cls._refused(RequestRefused("The upload broke off.", HTTPStatus.BAD_REQUEST))

    @classmethod
    def _with_each_photo(cls, given: GatedInput, change: Callable[[Any], Any]) -> GatedInput:
        """The same input with something made of each photo."""
        made = {}
        for field in cls.photo_fields:
            photo = getattr(given, field)
            made[field] = [change(one) for one in photo] if cls.many else change(photo)
        return given.model_copy(update=made)

    @classmethod
    async def _read(cls, request: Request) -> dict[str, Any]:
        """Values of the fields.

        Raises:
            RequestRefused: 400 if there is no photo, or too many; 413 if the body is too large,
                408 if it is too slow, 429 if there is no room for it.
        """
        settings = _settings()
        photos = settings.max_photos if cls.many else len(cls.photo_fields)
        others = set(cls.multipart_fields) - set(cls.photo_fields)
        more = sum(settings.max_photos if name in cls.lists else 1 for name in others)
        request = bounded(request, settings.max_upload_bytes, photos + more)
        try:
            values = await cls._read_bounded(request, settings.max_photos if cls.many else 1)
            for name in others & values.keys():
                _ensure_files(name, values[name])
            return values
        except RequestRefused as refused:
            refused.rest = request.receive
            raise

    @classmethod
    async def _read_bounded(cls, request: Request, limit: int) -> dict[str, Any]:
        kind = content_type(request)
        field = cls.photo_fields[0]
        what_to_send = send_several(field) if cls.many else send_one(field)
        if len(cls.photo_fields) > 1:
            what_to_send = send_each(cls.photo_fields)
        if kind != "multipart/form-data":
            if cls.many or len(cls.photo_fields) > 1 or kind == "application/json":
                raise RequestRefused(
                    f"This is {kind or 'empty'}, and holds no photo. {what_to_send}",
                    HTTPStatus.BAD_REQUEST,
                )
            photo = await raw_body(request)
            if not photo.size and not kind:
                raise RequestRefused(
                    f"The request is empty. {what_to_send}", HTTPStatus.BAD_REQUEST
                )
            values = {name: cls._parsed(name, v) for name, v in request.query_params.items()}
            return values | {field: Sent(photo, language_of(request))}
        form = await read_form(request, max_files=MAX_FILES, max_fields=MAX_FIELDS)
        language = language_of(request, form.get("language"))
        values = {
            name: form.getlist(name)
            if name in cls.lists & set(cls.multipart_fields)
            else cls._parsed(name, form[name])
            for name in form
            if name not in cls.photo_fields
        }
        for name in cls.photo_fields:
            found = await files(form, name, what_to_send)
            photos = [Sent(photo, language) for photo in found]
            if len(photos) > limit:
                raise RequestRefused(
                    f"{len(photos)} photos are more than the limit of {limit} a request.",
                    HTTPStatus.BAD_REQUEST,
                )
            values[name] = photos if cls.many else photos[0]
        return values

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

    @classmethod
    def _refused(cls, refused: RequestRefused) -> GatedInput:
        empty = dict.fromkeys(cls.model_fields)
        photo = [refused] if cls.many else refused
        return cls.model_construct(**empty | {cls.photo_fields[0]: photo})


def _ensure_files(name: str, value: Any) -> None:
    """Refuse a text in place of a file: some code behind might take it for a path.

    Raises:
        RequestRefused: 400.
    """
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, UploadFile):
            raise RequestRefused(
                f"The field `{name}` holds text, not a file (a missing @?).", HTTPStatus.BAD_REQUEST
            )


@functools.cache
def _settings() -> Settings:
    return Settings.from_environment()


def input_of(signature: Signature) -> type[GatedInput]:
    """The descriptor of a gated method's request."""
    fields: dict[str, Any] = {}
    photo = list[PhotoFile] if signature.many else PhotoFile
    for name, (annotation, default) in signature.fields.items():
        fields[name] = (
            photo if name in signature.photos else annotation,
            Field() if default is inspect.Parameter.empty else default,
        )
    model = create_model(
        "Input", __base__=GatedInput, __module__=signature.func.__module__, **fields
    )
    model.photo_fields, model.many = tuple(signature.photos), signature.many
    annotations = {name: annotation for name, (annotation, _) in fields.items()}
    model.texts = frozenset(n for n, a in annotations.items() if a in (str, str | None))
    model.lists = frozenset(n for n, a in annotations.items() if get_origin(a) is list)
    # BentoML finds file fields by their type, and these are of any type
    model.multipart_fields = [
        name for name in fields if name in model.multipart_fields or name in signature.photos
    ]
    return model
