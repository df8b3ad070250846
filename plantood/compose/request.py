"""The request of a gated API: BentoML's, with the photo read as the gate reads photos.

BentoML's own ``Image`` and ``Path`` inputs answer 500 to a corrupt photo, refuse a raw body, and
download whatever URL a text field holds. Here the photo's bytes are handed over untouched; all
other parameters stay what BentoML makes of them.
"""

from __future__ import annotations

import functools
import inspect
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, get_origin

import bentoml
from pydantic import Field, create_model
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from plantood.body_limit import bounded
from plantood.http_io import (
    PICKLE,
    PhotoFile,
    PhotoInput,
    RequestRefused,
    as_upload,
    content_type,
    files,
    language_of,
    raw_body,
    send_one,
    send_several,
)
from plantood.settings import Settings

from .signature import Signature


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
        photo_field: The field that holds the photo, or the photos.
        many: It is a list.
        lists: Fields that are lists, which a form has as several fields of the same name.
        texts: Fields that are text.
    """

    photo_field: ClassVar[str]
    many: ClassVar[bool]
    lists: ClassVar[frozenset[str]]
    texts: ClassVar[frozenset[str]]

    @classmethod
    def from_inputs(cls, *args: Any, **kwargs: Any) -> GatedInput:
        """Build the input of a call from Python."""
        given = super().from_inputs(*args, **kwargs)
        photo = getattr(given, cls.photo_field)
        ready = [as_upload(one) for one in photo] if cls.many else as_upload(photo)
        return given.model_copy(update={cls.photo_field: ready})

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> GatedInput:
        """Read a request; a photo comes as :class:`Sent`."""
        if content_type(request) == PICKLE:
            given = await super().from_http_request(request, serde)
            photo = getattr(given, cls.photo_field)
            sent = [Sent(one) for one in photo] if cls.many else Sent(photo)
            return given.model_copy(update={cls.photo_field: sent})
        try:
            return cls.model_validate(await cls._read(request))
        except RequestRefused as refused:
            return cls._refused(refused)
        except HTTPException as broken:  # a form that cannot be parsed
            return cls._refused(
                RequestRefused(
                    f"The form cannot be read: {broken.detail}", HTTPStatus(broken.status_code)
                )
            )
        except ClientDisconnect:
            return cls._refused(RequestRefused("The upload broke off.", HTTPStatus.BAD_REQUEST))

    @classmethod
    async def _read(cls, request: Request) -> dict[str, Any]:
        """Values of the fields.

        Raises:
            RequestRefused: 400 if there is no photo, or too many; 413 if the body is too large.
        """
        settings = _settings()
        field, kind = cls.photo_field, content_type(request)
        what_to_send = send_several(field) if cls.many else send_one(field)
        if len(cls.multipart_fields) == 1:
            request = bounded(
                request, settings.max_upload_bytes, settings.max_photos if cls.many else 1
            )
        if kind != "multipart/form-data":
            if cls.many or kind == "application/json":
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
        form = await request.form()
        language = language_of(request, form.get("language"))
        photos = [Sent(photo, language) for photo in files(form, field, what_to_send)]
        limit = settings.max_photos if cls.many else 1
        if len(photos) > limit:
            raise RequestRefused(
                f"{len(photos)} photos are more than the limit of {limit} a request.",
                HTTPStatus.BAD_REQUEST,
            )
        values = {
            name: form.getlist(name)
            if name in cls.lists & set(cls.multipart_fields)
            else cls._parsed(name, form[name])
            for name in form
            if name != field
        }
        return values | {field: photos if cls.many else photos[0]}

    @classmethod
    def _parsed(cls, name: str, value: Any) -> Any:
        """A field as BentoML reads it: JSON, or else just text; text in any case if it shall be."""
        if not isinstance(value, str):
            return value
        try:
            parsed = json.loads(value)
        except ValueError:
            return value
        return value if name in cls.texts and not isinstance(parsed, str | None) else parsed

    @classmethod
    def _refused(cls, refused: RequestRefused) -> GatedInput:
        empty = dict.fromkeys(cls.model_fields)
        photo = [refused] if cls.many else refused
        return cls.model_construct(**empty | {cls.photo_field: photo})


@functools.cache
def _settings() -> Settings:
    return Settings.from_environment()


def input_of(signature: Signature) -> type[GatedInput]:
    """The descriptor of a gated method's request."""
    fields: dict[str, Any] = {}
    photo = list[PhotoFile] if signature.many else PhotoFile
    for name, (annotation, default) in signature.fields.items():
        fields[name] = (
            photo if name == signature.photo else annotation,
            Field() if default is inspect.Parameter.empty else default,
        )
    model = create_model(
        "Input", __base__=GatedInput, __module__=signature.func.__module__, **fields
    )
    model.photo_field, model.many = signature.photo, signature.many
    annotations = {name: annotation for name, (annotation, _) in fields.items()}
    model.texts = frozenset(n for n, a in annotations.items() if a in (str, str | None))
    model.lists = frozenset(n for n, a in annotations.items() if get_origin(a) is list)
    # BentoML finds file fields by their type, and these are of any type
    model.multipart_fields = [
        name for name in fields if name in model.multipart_fields or name == signature.photo
    ]
    return model
