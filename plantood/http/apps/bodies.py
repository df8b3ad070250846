"""Bodies that `@gated` does not read: those of other APIs, of tasks, and of what is mounted beside.

BentoML reads all of a body into memory, however much comes and however slowly, and keeps that of a
task for a day. So a body is taken in here first, with the bounds that a photo has, and counted
among the uploads until BentoML has read it; and of a task BentoML keeps nothing that was sent.
"""

from __future__ import annotations

from typing import Any, get_args, get_origin

import bentoml
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plantood.http.body import content_type, kept_body
from plantood.http.form import read_form
from plantood.http.inputs import FURTHER_FIELDS
from plantood.http.uploads import BoundedBody, bounded, refused_upload
from plantood.refusals import RequestRefused
from plantood.settings import Settings

PIECE = 256 * 1024
_MOST_FIELDS = 1000
"""As BentoML takes of a form."""


def files_of(spec: type[bentoml.IODescriptor], settings: Settings) -> int:
    """How many files an API may be sent: BentoML takes one for any of its fields, and at least one.

    Several it takes only for a list of what comes as files.
    """
    most = (
        settings.max_photos
        if name in spec.multipart_fields and _holds_a_list(field.annotation)
        else 1
        for name, field in spec.model_fields.items()
    )
    return max(1, sum(most))


def _holds_a_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_holds_a_list, get_args(annotation)))


class Whole(Request):
    """A request whose body is taken in as a whole before any of it is given.

    A form is read as that of photos is: BentoML's parser takes any amount of time.
    """

    def __init__(self, request: Request, settings: Settings, files: int) -> None:
        """Take in the body of a request, as large as so many photos are.

        Args:
            request: With the body still to come.
            settings: How large a photo may be.
            files: As of :func:`files_of`.
        """
        self._whole = _Body(request, settings.max_upload_bytes, files)
        headers = [_in_lower_case(*header) for header in request.scope["headers"]]
        super().__init__({**request.scope, "headers": headers}, self._whole)

    async def arrive(self) -> None:
        """Take it in.

        Raises:
            RequestRefused: 408 or 413, if it is too slow or too large; 429, if there is no room;
                400, if it is a form that cannot be read, or has too many files.
            ClientDisconnect: It broke off.
        """
        await self._whole.arrive()

    async def form(self, **_: Any) -> FormData:  # type: ignore[override]  # BentoML awaits it
        """The fields and files of a form; raises as :meth:`arrive`."""
        await self._whole.arrive()
        form = self._whole.form
        return await super().form() if form is None else form


def _in_lower_case(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header, with a content type as BentoML knows it: by another one it would read no form."""
    if name == b"content-type":
        kind, semicolon, parameters = value.partition(b";")
        value = kind.lower() + semicolon + parameters
    return name, value


class _Body:
    """The ASGI ``receive`` of a body that is taken in as a whole.

    Attributes:
        form: What it holds, if it is a form.
    """

    def __init__(self, request: Request, file_bytes: int, files: int) -> None:
        self.form: FormData | None = None
        self._sent = request
        self._limits = file_bytes, files
        self._is_here = False
        self._file: UploadFile | None = None

    async def arrive(self) -> None:
        if self._is_here:
            return
        body = bounded(self._sent, *self._limits)
        try:
            if content_type(body) == "multipart/form-data":
                files = self._limits[1]
                most = files + FURTHER_FIELDS
                self.form = await read_form(
                    body, max_files=most, max_fields=_MOST_FIELDS, max_filled=files
                )
            else:
                self._file = await kept_body(body, Headers())
        except RequestRefused as refused:
            refused.rest = body.receive
            raise
        self._is_here = True

    async def __call__(self) -> Message:
        """The next piece; after the last what the server says, above all that the client left."""
        await self.arrive()
        if self._file is None:
            return await self._sent.receive()
        piece = await self._file.read(PIECE)
        more = self._file.file.tell() < (self._file.size or 0)
        if not more:
            await self._file.close()
            self._file = None
        return {"type": "http.request", "body": piece, "more_body": more}


class Submitted(Request):
    """What BentoML keeps of a task's request: where it was sent, and nothing that was sent.

    Attributes:
        whole: The request itself, for when the task runs.
    """

    def __init__(self, whole: Request) -> None:
        super().__init__({**whole.scope, "headers": [], "query_string": b""})
        self.whole = whole

    async def body(self) -> bytes:
        """Nothing: a photo would lie on disk for a day, and as many as strangers like to send."""
        return b""


class BoundedApp:
    """ASGI application: another one, whose requests are no larger and no slower than photos."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limits = settings.max_upload_bytes, settings.max_photos

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; a refusal is answered here, whatever the application makes of it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = BoundedBody(scope, receive, *self._limits)
        has_begun = False

        async def send_unless_refused(event: Message) -> None:
            nonlocal has_begun
            if has_begun or body.refusal is None:
                has_begun = True
                await send(event)

        if body.refusal is None:
            try:
                await self._app(scope, body, send_unless_refused)
            except Exception:
                if has_begun or body.refusal is None:
                    raise
        if body.refusal is not None and not has_begun:
            await refused_upload(body.refusal)(scope, body, send)
