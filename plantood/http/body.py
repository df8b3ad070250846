"""What a request holds: one photo as its body, or the files of a form; and what it should hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, BinaryIO, cast

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.requests import Request

from plantood.http.room import PhotoFile, uploads_of_process
from plantood.judging.messages import MAX_ACCEPT, shortened
from plantood.refusals import RequestRefused

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


def content_type(request: Request) -> str:
    """The content type without its parameters, in lower case; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


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
    photo = await kept_body(request, Headers({"content-type": kind}))
    try:
        await ensure_no_text(photo)
    except BaseException:
        photo.file.close()  # as there
        raise
    return photo


async def kept_body(request: Request, headers: Headers) -> UploadFile:
    """The whole body as an upload with these headers, whatever it holds, to be read from its start.

    Raises:
        RequestRefused: 429, if there is no room for it.
    """
    kept = upload(uploads_of_process().open(), headers)
    try:
        async for chunk in request.stream():
            await kept.write(chunk)
        await kept.seek(0)
    except BaseException:
        kept.file.close()  # at once: what a refusal remembers of its origin would keep it
        raise
    return kept


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


def upload(file: PhotoFile, headers: Headers, filename: str | None = None) -> UploadFile:
    """One photo of a request, as it arrives."""
    # BinaryIO is a class of its own to type checkers, not the same as a file of bytes
    return UploadFile(cast(BinaryIO, file), size=0, filename=filename, headers=headers)


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
    """The language asked for: form field, then query parameter, then ``Accept-Language``.

    No more of it than is ever looked at.
    """
    if isinstance(field, str) and field:
        if field.startswith('"') or field == "null":  # BentoML's clients send form fields as JSON
            try:
                field = parsed_json(field[: MAX_ACCEPT + 2])
            except ValueError:
                field = None
        if isinstance(field, str) and field:
            return shortened(field)
    asked = request.query_params.get("language") or request.headers.get("accept-language")
    return shortened(asked) if asked else None
