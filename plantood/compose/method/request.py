"""The request of a gated API: its photos read as the gate reads them, the rest as BentoML does."""

from __future__ import annotations

import asyncio
import functools
import inspect
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, get_args, get_origin

import bentoml
from pydantic import Field, ValidationError, create_model
from starlette.requests import ClientDisconnect, Request

from plantood.bentoml_private import keeping
from plantood.compose.method.beside import (
    ensure_files,
    ensure_no_path,
    ensure_own_name,
    holds_pictures,
    open_pictures,
)
from plantood.compose.method.signature import Signature
from plantood.http.admission import ensure_plain
from plantood.http.inputs import PhotosInput, SentPhoto, is_of_the_bento
from plantood.http.room import settings_of_process
from plantood.photo.forms import PhotoInput
from plantood.refusals import RequestRefused

_MAX_NAME, _MAX_MESSAGE = 80, 200
"""Characters in a sentence of what pydantic says; either may quote what was sent."""

_AHEAD = "plantood.read_ahead"
"""In the scope of a request that was read already: what it held."""


@dataclass(frozen=True, eq=False)
class Sent:
    """A photo as it came with a request, and the language that its sender asked for."""

    photo: PhotoInput
    language: str | None = None


class GatedInput(
    PhotosInput,
    metaclass=keeping(PhotosInput, "__root_input__", False),  # type: ignore[metaclass]
):
    """Base of the inputs of gated APIs; a photo comes as :class:`Sent`.

    A request that cannot be read is not an exception, but an input whose photo is a
    `RequestRefused`: BentoML would log a stack trace for each field that is missing or wrong.

    Attributes:
        pictures: Fields beside the photos that hold a picture, or pictures.
    """

    pictures: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> bentoml.IODescriptor:
        """Read a request."""
        if is_of_the_bento(serde):
            given = await super().from_http_request(request, serde)
            language = given.model_dump(include={"language"}).get("language")
            return cls.with_each_photo(given, functools.partial(Sent, language=language))
        try:
            if _AHEAD in request.scope:
                ahead: GatedInput = request.scope[_AHEAD]
                return ahead
            return await cls._received(request)
        except RequestRefused as refused:
            return cls._refused(refused)

    @classmethod
    def _refused(cls, refused: RequestRefused) -> bentoml.IODescriptor:
        empty = dict.fromkeys(cls.model_fields)
        photo = [refused] if cls.many else refused
        return cls.model_construct(**empty | {cls.photo_fields[0]: photo})

    @classmethod
    async def read_ahead(cls, request: Request) -> Request:
        """The same request, read already, for a task: nothing is left to come when it runs.

        Raises:
            RequestRefused: It cannot be read.
        """
        return Request({**request.scope, _AHEAD: await cls._received(request)}, request.receive)

    @classmethod
    async def _received(cls, request: Request) -> GatedInput:
        """Read a request of a stranger.

        Raises:
            RequestRefused: As :meth:`read`; 400, if anything else in it is wrong.
        """
        try:
            ensure_plain(request.scope)
            given = cls.model_validate(await cls._sent(request))
        except ClientDisconnect:
            raise RequestRefused("The upload broke off.", HTTPStatus.BAD_REQUEST) from None
        except ValidationError as error:
            raise RequestRefused(_what_is_wrong(error), HTTPStatus.BAD_REQUEST) from None
        for name in cls.photo_fields:
            photos = getattr(given, name)
            if not all(isinstance(photo, Sent) for photo in (photos if cls.many else [photos])):
                # whatever its field may do: what else stands there could be a sender's text
                raise RequestRefused(f"The field `{name}` is no photo.", HTTPStatus.BAD_REQUEST)
        return given

    @classmethod
    async def _sent(cls, request: Request) -> dict[str, Any]:
        """Values of the fields, each photo with the language that is asked for.

        Raises:
            RequestRefused: As :meth:`read`.
        """
        settings = settings_of_process()
        values, language = await cls.read(request, settings)
        for name in cls.other_files() & values.keys():
            ensure_files(name, values[name])
            if name in cls.pictures:
                values[name] = await asyncio.to_thread(
                    open_pictures, name, values[name], settings.limits
                )
        for name in cls.photo_fields:
            given = values[name]
            sent = [Sent(photo, language) for photo in given] if cls.many else Sent(given, language)
            values[name] = sent
        return values

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """What was given, and no default: BentoML sends this to another service of the bento.

        There a default would look like the caller's wish.
        """
        return super().model_dump(**{"exclude_unset": True} | options)


def _what_is_wrong(error: ValidationError) -> str:
    """The first of the fields that are not what the method takes, in a sentence."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:_MAX_NAME]
    if first["type"] == "missing":
        return f"The field `{where}` is missing."
    return f"The field `{where}` is not as it should be: {first['msg'][:_MAX_MESSAGE]}."


def _in_place_of(annotation: Any, photo: Any) -> Any:
    """What comes as a photo, with the `Field` that the method gives to it."""
    if get_origin(annotation) is not Annotated:
        return photo
    return Annotated[(photo, *get_args(annotation)[1:])]


def input_of(signature: Signature) -> type[GatedInput]:
    """The descriptor of a gated method's request.

    Raises:
        TypeError: A sender's text could become a path.
    """
    fields: dict[str, Any] = {}
    photo = list[SentPhoto] if signature.many else SentPhoto
    for name, (annotation, default) in signature.fields.items():
        fields[name] = (
            _in_place_of(annotation, photo) if name in signature.photos else annotation,
            Field() if default is inspect.Parameter.empty else default,
        )
    model: type[GatedInput] = create_model(
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
    for name, (annotation, default) in signature.fields.items():
        if name in model.multipart_fields:
            ensure_own_name(signature.name, name, annotation, default)
        else:
            ensure_no_path(signature.name, name, annotation)
    model.pictures = frozenset(
        name for name in model.other_files() if holds_pictures(signature.fields[name][0])
    )
    return model
