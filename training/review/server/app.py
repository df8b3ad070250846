"""The web application of a review: the page, the photos, and the decisions."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import plantood
from plantood.errors import PlantoodError, UnreadablePhoto
from plantood.training.files.paths import spelled
from plantood.training.review.agreement import pairs
from plantood.training.review.log import (
    DecisionLog,
    NothingToUndo,
    Superseded,
    UnknownPhoto,
    Unsaved,
)
from plantood.training.review.second_look import second_looks
from plantood.training.review.server.guard import Guard, refusal
from plantood.training.review.server.pictures import Pictures
from plantood.training.review.server.requests import LabelRequest, UndoRequest, read_body
from plantood.training.review.tally import Entry
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import NoPhoto

WEB = Path(__file__).parent / "web"
GATE_WEB = Path(plantood.__file__).parent / "http" / "web"
PAGE: dict[str, str | Path] = {
    "/": "index.html",
    "/app.js": "app.js",
    "/api.js": "api.js",
    "/board.js": "board.js",
    "/dialogs.js": "dialogs.js",
    "/filters.js": "filters.js",
    "/grid.js": "grid.js",
    "/keys.js": "keys.js",
    "/panel.js": "panel.js",
    "/zoom.js": "zoom.js",
    "/style.css": "style.css",
    "/theme.css": GATE_WEB / "theme.css",
}
CLIENT_GONE = 499
"""Status for the log of a request that nobody waits for any more; the number is nginx's."""
FOR_EVER = "private, max-age=31536000, immutable"
"""A photo's address holds the digest of its bytes: what is there never changes."""
PIECE = 256 * 1024
"""Bytes of a photo's file that are in memory at a time."""


class ReviewApp:
    """The routes over one round's decisions and pictures."""

    def __init__(self, log: DecisionLog, pictures: Pictures, reviewer: str | None = None) -> None:
        self.log = log
        self.pictures = pictures
        self.reviewer = reviewer
        self._turns = asyncio.Semaphore(pictures.threads)

    def asgi(self, token: str | None = None, names: tuple[str, ...] = ()) -> Starlette:
        """Build it; arguments as of :class:`plantood.training.review.server.guard.Guard`."""
        handlers: dict[Any, Any] = {  # each takes its own kind of error alone
            HTTPException: _http_error,
            PlantoodError: _plantood_error,
            OSError: _os_error,
            ClientDisconnect: _gone,
            Exception: _mistake,
        }
        return Starlette(
            routes=[
                *(Route(path, _file(name), methods=["GET"]) for path, name in PAGE.items()),
                Route("/api/round", self.round, methods=["GET"]),
                Route("/api/decisions", self.decisions, methods=["GET"]),
                Route("/api/summary", self.summary, methods=["GET"]),
                Route("/api/labels", self.label, methods=["POST"]),
                Route("/api/undo", self.undo, methods=["POST"]),
                Route("/thumbnails/{id}", self.thumbnail, methods=["GET"]),
                Route("/previews/{id}", self.preview, methods=["GET"]),
                Route("/photos/{id}", self.photo, methods=["GET"]),
            ],
            middleware=[Middleware(Guard, token=token, names=names)],
            exception_handlers=handlers,
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.pictures.make_ahead(self.log.photos)
        yield
        self.pictures.close()

    async def round(self, _: Request) -> Response:
        """What is to be reviewed: the round, and its photos, most suspicious first."""
        round_ = self.log.round
        photos = [
            {name: value for name, value in vars(photo).items() if name != "file"}
            for photo in self.log.photos.values()
        ]
        return _fresh(
            {
                "name": spelled(round_.path.resolve().name),
                "info": round_.info.model_dump(mode="json"),
                "reviewer": self.reviewer,
                "photos": photos,
            }
        )

    async def decisions(self, request: Request) -> Response:
        """The decisions after the number ``after``, everybody's."""
        after = _number(request.query_params.get("after", "0"))
        return _fresh(_entries(await run_in_threadpool(self.log.since, after), after))

    async def summary(self, request: Request) -> Response:
        """How reviewers agree, and what one of them should look at again."""
        reviewer = request.query_params.get("reviewer", "")

        def summarize() -> dict[str, Any]:
            self.log.refresh()
            return {
                "reviewers": self.log.reviewers(),
                "agreement": [asdict(pair) for pair in pairs(self.log)],
                "second_looks": [asdict(look) for look in second_looks(self.log, reviewer)],
            }

        return _fresh(await run_in_threadpool(summarize))

    async def label(self, request: Request) -> Response:
        """Take one decision; it is on disk when this answers."""
        asked = await read_body(request, LabelRequest)
        decision = Decision(
            reviewer=asked.reviewer, id=self._known(asked.id), label=asked.label, kind=asked.kind
        )
        return await self._change(lambda: self.log.decide(decision, asked.seen), asked.after)

    async def undo(self, request: Request) -> Response:
        """Take one decision back; that is on disk when this answers."""
        asked = await read_body(request, UndoRequest)
        photo = self._known(asked.id)
        return await self._change(
            lambda: self.log.undo(photo, asked.reviewer, asked.seen), asked.after
        )

    async def _change(self, change: Callable[[], Entry], after: int | None) -> Response:
        status = HTTPStatus.OK
        try:
            answer: dict[str, Any] = {"decision": (await run_in_threadpool(change)).as_json()}
        except Superseded as superseded:
            status, answer = HTTPStatus.CONFLICT, {"error": str(superseded)}
        if after is not None:
            answer |= _entries(await run_in_threadpool(self.log.since, after), after)
        return _fresh(answer, status)

    async def thumbnail(self, request: Request) -> Response:
        """A photo of at most 320 pixels."""
        return await self._picture(request, self.pictures.thumbnail)

    async def preview(self, request: Request) -> Response:
        """A photo as large as the gate sees it."""
        return await self._picture(request, self.pictures.preview)

    async def photo(self, request: Request) -> Response:
        """The photo's own file, to zoom into; the preview if browsers cannot show it."""
        identity = self._known(request.path_params["id"])
        if answer := _unchanged(request, identity):
            return answer
        found = await run_in_threadpool(self.pictures.file, identity)
        if found is None:
            return await self._picture(request, self.pictures.preview)
        file, media_type = found
        size = os.fstat(file.fileno()).st_size
        headers = {
            "Cache-Control": FOR_EVER,
            "ETag": f'"{identity}"',
            "Content-Length": str(size),
        }
        if request.method == "HEAD":
            file.close()
            return Response(media_type=media_type, headers=headers)
        return StreamingResponse(_pieces(file, size), media_type=media_type, headers=headers)

    async def _picture(self, request: Request, make: Callable[[str], Future[bytes]]) -> Response:
        identity = self._known(request.path_params["id"])
        if answer := _unchanged(request, identity):
            return answer
        async with self._turns:
            # A browser that scrolls on gives up what it asked for; that is not made any more.
            if await request.is_disconnected():
                return Response(status_code=CLIENT_GONE)
            content = await asyncio.wrap_future(make(identity))
        headers = {"Cache-Control": FOR_EVER, "ETag": f'"{identity}"'}
        return Response(content, media_type="image/jpeg", headers=headers)

    def _known(self, identity: str) -> str:
        if identity not in self.log.photos:
            raise UnknownPhoto(f"There is no photo {identity} to review in this round.")
        return identity


def _entries(entries: list[Entry], after: int) -> dict[str, Any]:
    return {
        "number": entries[-1].number if entries else after,
        "decisions": [entry.as_json() for entry in entries],
    }


def _fresh(content: Any, status: int = HTTPStatus.OK) -> JSONResponse:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def _unchanged(request: Request, identity: str) -> Response | None:
    """304 if the browser has this photo already (RFC 9110, section 13.1.2)."""
    known = request.headers.get("if-none-match", "")
    if f'"{identity}"' not in known and known.strip() != "*":
        return None
    headers = {"Cache-Control": FOR_EVER, "ETag": f'"{identity}"'}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,15}", text):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"after={text} is not the number of a decision")
    return int(text)


async def _pieces(file: IO[bytes], size: int) -> AsyncIterator[bytes]:
    """So much of an open file, which is closed at the end."""
    with file:
        while piece := await run_in_threadpool(file.read, min(size, PIECE)):
            size -= len(piece)
            yield piece


def _file(name: str | Path) -> Callable[[Request], Awaitable[Response]]:
    media_type = mimetypes.guess_type(name)[0]

    async def answer(_: Request) -> Response:
        content = await run_in_threadpool((WEB / name).read_bytes)
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return answer


async def _http_error(_: Request, error: HTTPException) -> Response:
    sentences: dict[int, str] = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This cannot be done at this address.",
    }
    answer = refusal(sentences.get(error.status_code, error.detail), error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _mistake(_: Request, __: Exception) -> Response:
    return refusal("The server made a mistake; its log says which.", 500)


async def _plantood_error(_: Request, error: PlantoodError) -> Response:
    statuses = {
        UnknownPhoto: HTTPStatus.NOT_FOUND,
        NothingToUndo: HTTPStatus.NOT_FOUND,
        NoPhoto: HTTPStatus.NOT_FOUND,
        UnreadablePhoto: HTTPStatus.UNPROCESSABLE_ENTITY,
        Unsaved: HTTPStatus.INSUFFICIENT_STORAGE,
    }
    status = next((status for kind, status in statuses.items() if isinstance(error, kind)), None)
    return refusal(str(error), status or HTTPStatus.SERVICE_UNAVAILABLE)


async def _os_error(_: Request, error: OSError) -> Response:
    return refusal(
        f"It could not be saved: {error.strerror or error}.", HTTPStatus.INSUFFICIENT_STORAGE
    )
