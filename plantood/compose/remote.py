"""A gate that runs elsewhere, behind HTTP."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import ValidationError

from plantood.arguments import ensure_count, ensure_headers, ensure_seconds
from plantood.errors import PhotoTooLarge, SettingsError, UnreadablePhoto
from plantood.http.timeout import HEADER as TIMEOUT
from plantood.http.timeout import ms_until
from plantood.judging.failures import (
    KINDS,
    FailureKind,
    GateUnavailable,
    WrongAnswer,
    as_gate_failure,
)
from plantood.judging.messages import shortened
from plantood.photo.forms import as_file, portable
from plantood.photo.images import Photo, ensure_photo
from plantood.settings import Settings
from plantood.verdict import Verdict

logger = logging.getLogger("bentoml.plantood")

RETRIES = 2
"""Further attempts if there is no connection, or it breaks."""
FIRST_PAUSE = 0.1
"""Seconds before the second attempt; twice as long before each further one."""
CONNECT_SECONDS = 5.0
READY_SECONDS = 5.0
"""Within which a gate says whether it is ready."""

_PLAIN = "identity"
MAX_ANSWER = 1 << 20
"""Bytes of an answer; a verdict has a thousand."""
MAX_TOLD = 200
"""Bytes of one that is no verdict, for the log."""

_REFUSED: dict[int, type[UnreadablePhoto]] = {
    HTTPStatus.BAD_REQUEST: UnreadablePhoto,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnreadablePhoto,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: PhotoTooLarge,
}
"""What the gate, or something in front of it, answers because of the photo's bytes. Were it a
failure of the gate, such bytes would pass wherever photos are accepted when it fails."""


class RemoteGate:
    """A gate of another deployment. Belongs to one event loop.

    ::

        gate = RemoteGate("http://plantood:3000", timeout_s=5)
        verdict = await gate.check(photo)
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float | None = None,
        retries: int = RETRIES,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is connected yet, so the gate may start later.

        Args:
            url: Where its service answers, ``http://host:port``, with a path if it has one.
            timeout_s: Longest time in seconds for a verdict, all attempts together; by default
                ``PLANTOOD_GATE_TIMEOUT_S``. The gate is told what is left of it, and gives up by
                then, too.
            retries: Further attempts if there is no connection, or it breaks. An answer is
                final, and so is its absence.
            headers: Sent with every request, such as ``Authorization``.

        Raises:
            SettingsError: ``url`` is not the address of a web service, the proxy that the
                environment names (``HTTP_PROXY``) is none, or another argument cannot be used.
        """
        ensure_seconds("timeout_s", timeout_s)
        ensure_count("retries", retries, least=0)
        settings = Settings.from_environment()
        seconds = settings.gate_timeout_s if timeout_s is None else timeout_s
        self._set_up(url, seconds, retries, headers, settings)

    @classmethod
    def behind(cls, url: str, headers: Mapping[str, str], settings: Settings) -> RemoteGate:
        """The gate that a client of BentoML calls; whoever asks it has a deadline of his own."""
        gate = cls.__new__(cls)  # without reading the settings once more
        gate._set_up(url, math.inf, RETRIES, headers, settings)
        return gate

    def _set_up(
        self,
        url: str,
        timeout_s: float,
        retries: int,
        headers: Mapping[str, str] | None,
        settings: Settings,
    ) -> None:
        address = _address(url)
        ensure_headers("headers", headers)
        sent = httpx.Headers(dict(headers or {}))
        sent.setdefault("Accept-Encoding", _PLAIN)
        self.url, self.timeout_s, self.retries = url, timeout_s, retries
        self._max_bytes = settings.limits.max_bytes
        self._client = _client(address, sent)

    async def check(
        self, photo: Photo, language: str | None = None, *, deadline: float | None = None
    ) -> Verdict:
        """Judge one photo.

        Args:
            photo: Bytes, a path, a Pillow image, or a uint8 array ``[H, W, 3]`` (RGB).
            language: Of the messages: a tag, or an ``Accept-Language`` header.
            deadline: By when, in the event loop's time, if that is before ``timeout_s`` are over.

        Raises:
            PhotoFileError: No photo can be read at this path.
            UnreadablePhoto: The gate does not take its bytes (400, 413, 415).
            GateUnavailable: There is no verdict; its ``kind`` says why: no connection, no answer
                in time, an error, or an answer that is no verdict; or this client is closed.
            TypeError: ``photo`` is of none of these types.
            ValueError: It is an array of another shape.
        """
        ensure_photo(photo)
        if self._client.is_closed:
            because = "this RemoteGate is closed"
            raise GateUnavailable(FailureKind.FAILED, "close() was called", because)
        try:
            ends = min(deadline or math.inf, asyncio.get_running_loop().time() + self.timeout_s)
            async with asyncio.timeout_at(ends):
                file = await asyncio.to_thread(portable, photo, self._max_bytes)
                return await self._check(await asyncio.to_thread(as_file, file), language, ends)
        except UnreadablePhoto:
            raise
        except Exception as error:
            raise as_gate_failure(error) from error

    async def _check(self, file: bytes, language: str | None, ends: float) -> Verdict:
        # no more than the gate looks at: it refuses a long address, and that is no failure of its
        language = shortened(language or "")
        params = {"language": language} if language else {}
        kind = {"Content-Type": "application/octet-stream"}
        answer = await self._post("check", ends, kind, params=params, content=file)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # a photo of too many bytes has a verdict only among several
            files = [("images", ("photo", file))]
            answer = await self._post("check_batch", ends, {}, params=params, files=files)
            return _verdict(answer, "[", "]")
        return _verdict(answer)

    async def is_ready(self) -> bool:
        """True if the gate says so in time; False also if it cannot be reached, or is closed."""
        try:
            async with asyncio.timeout(READY_SECONDS):  # httpx's own is of each piece that arrives
                async with self._client.stream("GET", "readyz") as answer:
                    return (await _Answer.read(answer)).status == HTTPStatus.OK
        except Exception as error:  # beside httpx's, what a decoder or a closed client raises
            logger.warning("The gate is not ready: %s", as_gate_failure(error).detail)
            return False

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def _post(
        self, path: str, ends: float, headers: dict[str, str], **request: Any
    ) -> _Answer:
        for attempt in range(self.retries + 1):
            told = headers | {TIMEOUT: str(ms_until(ends))}
            try:
                async with self._client.stream("POST", path, headers=told, **request) as answer:
                    return await _Answer.read(answer)
            except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout):
                if attempt == self.retries:
                    raise
                await asyncio.sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError  # the last attempt returns or raises


def _address(url: str) -> httpx.URL:
    """The address of a web service.

    Raises:
        SettingsError: It is none, or one that no connection can be made to.
    """
    because = ""
    try:
        address = httpx.URL(url)
        address.raw_host.decode().encode("idna")  # as whoever asks for the host's address does
        host, port = address.host, address.port
        is_one = address.scheme in ("http", "https") and host and ("%" not in host or ":" in host)
        if is_one and (port is None or 0 < port < 65536):
            return address
    except (httpx.InvalidURL, UnicodeError, TypeError) as error:
        because = f" ({error})"
    raise SettingsError(f"{url!r} is no address of a gate{because}; give http://host:port.")


def _client(address: httpx.URL, headers: httpx.Headers) -> httpx.AsyncClient:
    """What calls the gate at an address, through the proxy that the environment names, if any.

    Raises:
        SettingsError: There is no such proxy.
    """
    try:
        return httpx.AsyncClient(
            base_url=address,
            headers=headers,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )
    except (httpx.InvalidURL, ValueError, ImportError) as error:  # the latter of SOCKS
        raise SettingsError(
            f"The proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used: {error}."
        ) from error


@dataclass(frozen=True)
class _Answer:
    """What a gate answered."""

    status: int
    where: str
    text: str

    @classmethod
    async def read(cls, answer: httpx.Response) -> _Answer:
        """Read one, which is in memory as it comes: a small one could unpack to gigabytes.

        Raises:
            WrongAnswer: It is longer than any of a gate's, or encoded.
        """
        where = f"{answer.url.copy_with(query=None)} answered {answer.status_code}"
        content, limit = bytearray(), MAX_ANSWER
        if answer.status_code != HTTPStatus.OK:
            limit = MAX_TOLD  # its status says it all
        elif answer.headers.get("Content-Encoding", _PLAIN) != _PLAIN:
            raise WrongAnswer(f"{where}, encoded, which was not asked for")
        async for piece in answer.aiter_raw():
            content += piece[: limit + 1 - len(content)]
            if len(content) > limit:
                break
        if len(content) > MAX_ANSWER:
            raise WrongAnswer(f"{where} and more than {MAX_ANSWER:,} bytes; is it a gate?")
        # JSON, whatever charset it names
        return cls(answer.status_code, where, content.decode(errors="replace").strip())


def _verdict(answer: _Answer, opening: str = "", closing: str = "") -> Verdict:
    """The verdict in an answer's body, between two characters.

    Raises:
        UnreadablePhoto: The gate refused the photo's bytes.
        GateUnavailable: It cannot judge now.
        WrongAnswer: This is no verdict.
    """
    status, where, text = answer.status, answer.where, answer.text
    if status in KINDS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = KINDS.get(status, FailureKind.FAILED)
        raise GateUnavailable(kind, f"{where}: {text}")
    if status in _REFUSED:
        logger.warning("%s to a photo: %s", where, text)
        raise _REFUSED[status](f"The gate does not take this photo ({status}).")
    if status != HTTPStatus.OK:
        raise WrongAnswer(f"{where}; is it a gate?")
    text = text.removeprefix(opening).removesuffix(closing)
    try:
        return Verdict.model_validate_json(text)
    except ValidationError as error:
        raise WrongAnswer(f"{where} with no verdict: {text[:200]}") from error
