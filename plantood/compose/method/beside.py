"""What a gated method takes beside its photos: never a path by a sender's text; pictures bounded.

BentoML opens a picture by whatever decoder its sender names, and Pillow has some forty.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from inspect import isclass
from typing import Annotated, Any, BinaryIO, cast, get_args, get_origin, get_type_hints

from PIL import Image
from PIL.ExifTags import Base
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from starlette.datastructures import UploadFile

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.http.room import uploads_of_process
from plantood.photo import cost
from plantood.photo.cost import Admit, Limits
from plantood.photo.formats import jpeg, signatures
from plantood.photo.formats.bare import Bare
from plantood.photo.forms import close, read
from plantood.photo.strip import bare
from plantood.refusals import RequestRefused

_MAX_FILE_NAME = 50
"""Characters of at most four bytes: a file system's names have 255."""

_PILLOWS = {kind: kind.upper() for kind in ("jpeg", "png", "webp", "avif", "gif", "bmp", "tiff")}
_PILLOWS["heic"] = "HEIF"  # where a service has given Pillow a decoder of it
"""Pillow's names of the formats that photos have."""
_TAIL = 64
"""Bytes by which two ends of files are told to be the same."""

_FIELDS = ("__dataclass_fields__", "_fields", "__total__")
"""What dataclasses, named tuples and typed dicts have, whose objects Pydantic makes of a text."""
_TURNED_BY_METADATA = ("jpeg", "png", "webp")
"""Which is not given to the decoder; how the picture is turned, the method is told all the same."""


def ensure_no_path(name: str, parameter: str, annotation: Any) -> None:
    """Refuse a parameter in which a sender's text would become a path of this machine.

    Args:
        name: Of the method.
        parameter: That takes no file of the request.
        annotation: Of the parameter.

    Raises:
        TypeError: There is a path in it.
    """
    if any(isclass(one) and issubclass(one, os.PathLike) for one in _within(annotation, set())):
        raise TypeError(
            f"@gated on {name}: what a sender writes as {parameter} would become a path of this "
            "machine; take text as str, and a file as a parameter of its own that is a Path or a "
            "list[Path]."
        )


def ensure_own_name(name: str, parameter: str, annotation: Any, default: Any) -> None:
    """Refuse a second name of a parameter that takes a file: a text of that name would be taken.

    Raises:
        TypeError: There is an alias.
    """
    beside = [default, *(get_args(annotation) if get_origin(annotation) is Annotated else ())]
    fields = [one for one in beside if isinstance(one, FieldInfo)]
    if any(field.alias or field.validation_alias for field in fields):
        raise TypeError(
            f"@gated on {name} takes {parameter} by no other name; leave the alias out of its "
            "Field, and rename the parameter."
        )


def holds_pictures(annotation: Any) -> bool:
    """Whether what a parameter takes is a picture, or pictures."""
    return any(isclass(one) and issubclass(one, Image.Image) for one in _within(annotation, set()))


def _within(annotation: Any, seen: set[int]) -> Iterator[Any]:
    """An annotation, and all that it consists of."""
    if id(annotation) in seen:
        return
    seen.add(id(annotation))
    yield annotation
    parts = [get_origin(annotation), *get_args(annotation)]
    if parts[0] is Annotated:
        parts = parts[1:2]
    parts += [getattr(annotation, name, None) for name in ("__supertype__", "__value__")]
    if isclass(annotation) and issubclass(annotation, BaseModel):
        parts += [field.annotation for field in annotation.model_fields.values()]
    elif isclass(annotation) and any(hasattr(annotation, fields) for fields in _FIELDS):
        parts += get_type_hints(annotation, include_extras=True).values()
    for part in parts:
        if part is not None:
            yield from _within(part, seen)


def ensure_files(name: str, value: Any) -> None:
    """Refuse a text in place of a file: some code behind might take it for a path.

    Raises:
        RequestRefused: 400.
    """
    for file in _each(value):
        if not isinstance(file, UploadFile):
            raise RequestRefused(
                f"The field `{name}` holds text, not a file (a missing @?).", HTTPStatus.BAD_REQUEST
            )
        # its end alone: BentoML makes it the end of a temporary file's name
        file.filename = (file.filename or "")[-_MAX_FILE_NAME:]


def open_pictures(name: str, value: Any, limits: Limits) -> Any:
    """Open the pictures of a field, of which none is decoded yet. Blocks.

    Raises:
        RequestRefused: 400, if one cannot be read; 413, if one is above the limits; 429, if there
            is no room.
    """
    pictures = [_open(name, file, replace(limits, shorter_side=None)) for file in _each(value)]
    return pictures if isinstance(value, list) else pictures[0]


def pictures_beside(given: Mapping[str, Any], photos: Container[str]) -> list[Image.Image]:
    """The pictures among the arguments of a call that are no photos."""
    beside = (one for name, value in given.items() if name not in photos for one in _each(value))
    return [one for one in beside if isinstance(one, Image.Image)]


def decode(picture: Image.Image, admit: Admit) -> None:
    """Decode a picture, before a method does so and finds it broken. Blocks.

    Raises:
        RequestRefused: 400, if it is.
    """
    width, height = picture.size
    admit(int(cost.a_pixel(picture.mode, picture.format or "") * width * height))
    try:
        picture.load()
    except Exception as error:  # as varied as of a photo, see `plantood.photo.images`
        raise RequestRefused(
            "A picture beside the photo is broken; send it again.", HTTPStatus.BAD_REQUEST
        ) from error


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _open(name: str, file: UploadFile, limits: Limits) -> Image.Image:
    data = cast(bytes, read(file))
    close(file)  # what is kept of it has its place
    kept = uploads_of_process().open()
    try:
        cost.ensure_size(len(data), limits)
        kind = signatures.format_of(data)
        picture = _bare_jpeg(data) if kind == "jpeg" else bare(data)
        kept.write(picture.data)
        image = Image.open(cast(BinaryIO, kept), formats=[_PILLOWS[kind]])
        a_pixel = cost.a_pixel(image.mode, image.format or "")
        cost.ask_for_bare(picture, a_pixel, image.size, limits, lambda _: None)
        if kind in _TURNED_BY_METADATA and picture.orientation != 1:
            image.getexif()[Base.Orientation] = picture.orientation
    except Exception as error:
        kept.close()  # at once: what a refusal remembers of its origin would keep it
        raise _refusal(name, error) from None
    return image


def _refusal(name: str, error: Exception) -> RequestRefused:
    """What is answered where a picture cannot be opened."""
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, (PhotoTooLarge, Image.DecompressionBombError)):
        return RequestRefused(
            f"The picture `{name}` beside the photo is too large: {error}.",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
    # whatever else a decoder raises, see `plantood.photo.images`
    why = f": {error}" if isinstance(error, UnreadablePhoto) else ""
    return RequestRefused(
        f"The picture `{name}` beside the photo cannot be read as JPEG, PNG, WebP, AVIF, GIF, BMP "
        f"or TIFF{why}.",
        HTTPStatus.BAD_REQUEST,
    )


def _bare_jpeg(data: bytes) -> Bare:
    photo = jpeg.read(data)
    whole, end = photo.data, data[-_TAIL:]
    if whole[:-2].endswith(end):  # the end marker is not the file's: its decoder shall miss it
        whole = whole[:-2]
    return Bare(whole, photo.orientation, memory=2 * photo.coefficients)
