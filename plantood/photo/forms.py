"""A photo in the form in which it is wanted: to be judged, to be sent, or for a detector.

It comes as an upload, as bytes, a path, a Pillow image or an array; nothing here decodes what only
has to be handed on.
"""

from __future__ import annotations

import os
import tempfile
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from PIL import Image, ImageOps
from starlette.datastructures import UploadFile

from plantood.photo.formats.signatures import format_of
from plantood.photo.images import (
    Admit,
    Limits,
    LoadedImage,
    Photo,
    file_error,
    load_image,
    load_whole,
)

PhotoInput: TypeAlias = Photo | UploadFile

_SPELLINGS = {"jpeg": (".jpg",), "tiff": (".tif",), "heic": (".heif",)}
"""Of a format's suffix, beside its usual one."""


class Form(Enum):
    """What a gated method may take a photo as."""

    PIL = Image.Image  # all of it, upright, RGB
    PATH = Path
    BYTES = bytes
    LOADED = LoadedImage  # upright and reduced, as the gate saw it


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


def file_of(image: Image.Image) -> bytes | None:
    """All bytes of the file of a Pillow image that was opened but not decoded yet, else None."""
    file = getattr(image, "fp", None)
    if file is None:
        return None
    position = file.tell()
    file.seek(0)
    data: bytes = file.read()
    file.seek(position)
    return data


class _PhotoBytes(BytesIO, BinaryIO):
    """Bytes in the one form that BentoML's HTTP client uploads without a file on disk."""

    name = "photo"


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


def to_wire(photo: Any) -> Any:
    """What travels to another service of the bento: the file's bytes, or the pixels as given."""
    if isinstance(photo, _PhotoBytes):
        return photo.getvalue()
    if isinstance(photo, (str, os.PathLike)):
        with open(photo, "rb") as file:  # noqa: PTH123 (a str or any PathLike)
            return file.read()
    return photo


def portable(photo: Photo, max_bytes: int) -> Photo:
    """A photo that can leave this process: the bytes of the file at a path, or pixels.

    Of a file above the limit comes one byte more than that, so that the gate refuses it.
    Blocks, so it belongs into a thread.

    Raises:
        PhotoFileError: No file can be read at the path.
    """
    if not isinstance(photo, (str, os.PathLike)):
        return photo
    try:
        with Path(photo).open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        known = file_error(error)
        raise type(known)(f"{photo}: {known}") from error


def as_file(photo: Photo) -> bytes:
    """The bytes of a photo's file; pixels become a PNG, and so lose nothing."""
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return bytes(photo)
    if isinstance(photo, np.ndarray):
        photo = Image.fromarray(photo[:, :, 0] if photo.shape[2:] == (1,) else photo)
    if not isinstance(photo, Image.Image):
        return Path(photo).read_bytes()
    if (data := file_of(photo)) is not None:
        return data
    buffer = BytesIO()
    upright = ImageOps.exif_transpose(photo)
    if upright.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        upright = upright.convert("RGB")
    upright.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def as_wanted(
    photo: PhotoInput,
    form: Form,
    seen: LoadedImage | None,
    limits: Limits,
    admit: Admit | None = None,
    *,
    folder: Path | None,
) -> Any:
    """An accepted photo as a detector takes it. Blocks, so it belongs into a thread.

    Args:
        photo: As it came.
        form: As it is wanted.
        seen: The photo as the gate decoded it, if it did so in this process.
        limits: Bounds on bytes and pixels.
        admit: As `load_image` takes it.
        folder: Where a file may be written, if it is wanted as a path.

    Raises:
        UnreadablePhoto: It cannot be decoded; only if no gate has seen it.
    """
    if form is Form.LOADED:
        return seen or load_image(read(photo), limits, admit)
    if form is Form.PATH and isinstance(photo, (str, os.PathLike)):
        return Path(photo)
    given = read(photo)
    if form is Form.PIL:
        return load_whole(given, limits, admit)
    data = as_file(given)
    if form is Form.BYTES:
        return data
    name = photo.filename if isinstance(photo, UploadFile) else None
    with tempfile.NamedTemporaryFile(dir=folder, suffix=_suffix(name, data), delete=False) as file:
        file.write(data)
    return Path(file.name)


def _suffix(name: str | None, data: bytes) -> str:
    """That of its format, which its own name may only spell in another way.

    Libraries choose their decoder by it, and that choice is no stranger's.
    """
    kind = format_of(data)
    named = Path(name or "").suffix.lower()
    if named in _SPELLINGS.get(kind, ()):
        return named
    return f".{kind}" if kind else ""
