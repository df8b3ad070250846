"""One core: a gate wherever it runs, and what becomes of a photo that it cannot judge."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from os import PathLike
from typing import Any, Literal, TypeAlias, get_args

from starlette.datastructures import UploadFile

from plantood.arguments import ensure_seconds, ensure_several
from plantood.compose.doors import Door, open_door
from plantood.errors import PhotoFileError, SettingsError, UnreadablePhoto
from plantood.judging import prometheus
from plantood.judging.failures import FailureKind, WrongAnswer, as_gate_failure
from plantood.judging.judge import Judge, Judged
from plantood.judging.messages import Messages
from plantood.judging.prepare import code_of
from plantood.photo.forms import PhotoInput, close, portable, read
from plantood.photo.images import Limits, Photo, ensure_photo
from plantood.settings import Settings, naming
from plantood.verdict import ReasonCode, Verdict

logger = logging.getLogger("bentoml.plantood")

OnGateError: TypeAlias = Literal["accept", "retake", "raise"]


class _Loop:
    """The event loop to which a gate's connections belong."""

    def __init__(self) -> None:
        self._own: asyncio.AbstractEventLoop | None = None
        with contextlib.suppress(RuntimeError):  # made outside of any
            self._own = asyncio.get_running_loop()

    def ensure(self) -> asyncio.AbstractEventLoop:
        """The loop that runs, which is the gate's own.

        Raises:
            RuntimeError: It is another, and its end would break what the gate's own goes on with.
        """
        running = asyncio.get_running_loop()
        if self._own is None or self._own.is_closed():
            self._own = running
        if running is not self._own:
            raise RuntimeError(
                "This gate belongs to another event loop than the one that runs here; from a sync "
                "method ask it by anyio.from_thread.run(gate.check, photo), and not by asyncio.run."
            )
        return running


class ComposedGate:
    """A gate in front of a service. Belongs to the event loop in which it is made, or first used.

    ::

        gate = ComposedGate(self.gate, on_gate_error="retake", timeout_s=5)
        verdict = await gate.check(photo)
    """

    def __init__(
        self,
        source: Any,
        *,
        on_gate_error: OnGateError | None = None,
        timeout_s: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Judge through ``source``.

        Args:
            source: What ``bentoml.depends`` of `PlantGate`, of `PlantScorer` or of a URL resolves
                to, a `RemoteGate`, the runner of `gate_runner`, a `plantood.Gate`, another
                `ComposedGate`, or anything with an ``async check(photo, language)``.
            on_gate_error: What becomes of a photo that the gate cannot judge: it is accepted, it
                is asked for again, or `GateUnavailable` is raised, which BentoML answers as 503.
                By default ``PLANTOOD_ON_GATE_ERROR``, which is ``raise``.
            timeout_s: Longest time in seconds for a verdict; by default
                ``PLANTOOD_GATE_TIMEOUT_S``. A gate or scorer in another process is not told: it
                still gives up by its own ``PLANTOOD_GATE_TIMEOUT_S`` and
                ``PLANTOOD_MAX_LATENCY_MS``, and works on for nobody where those are longer.
            settings: Those of the environment, where the caller has read them.

        Raises:
            SettingsError: An argument or an environment variable cannot be used.
            GateModelError: The gate model that is needed in this process cannot be used.
        """
        ensure_outcome(on_gate_error)
        ensure_seconds("timeout_s", timeout_s)
        inherited = source if isinstance(source, ComposedGate) else None
        self.settings: Settings = (
            inherited.settings if inherited else settings or Settings.from_environment()
        )
        with naming("messages_file"):
            self.messages: Messages = (
                inherited.messages if inherited else Messages.load(self.settings.messages_file)
            )
        self.door: Door = inherited.door if inherited else open_door(source, self.settings)
        self._loop: _Loop = inherited._loop if inherited else _Loop()
        self.on_gate_error: OnGateError = on_gate_error or (
            inherited.on_gate_error if inherited else self.settings.on_gate_error
        )
        if timeout_s is None:
            timeout_s = inherited.timeout_s if inherited else self.settings.gate_timeout_s
        self.timeout_s: float = timeout_s
        for kind in FailureKind:
            prometheus.GATE_ERRORS.labels(kind=kind.value, outcome=self.on_gate_error)

    async def check(self, photo: Photo, language: str | None = None) -> Verdict:
        """Judge one photo.

        Args:
            photo: Bytes, a path, a Pillow image, or a uint8 array ``[H, W, 3]`` (RGB).
            language: Of the messages: a tag, or an ``Accept-Language`` header.

        Raises:
            GateUnavailable: The gate cannot judge, and ``on_gate_error`` is ``raise``.
            PhotoFileError: No photo can be read at this path: a mistake of the program's, about
                which the message for a farmer would mislead.
            TypeError: ``photo`` is of none of these types.
            ValueError: It is an array of another shape.
            RuntimeError: It is asked from another event loop than its own.
        """
        judged = await self.examine(photo, language)
        if isinstance(judged.error, PhotoFileError):
            raise judged.error
        return judged.verdict

    async def check_many(
        self, photos: Iterable[Photo], language: str | None = None
    ) -> list[Verdict]:
        """Judge several photos at once; the verdicts come in their order. As :meth:`check`.

        A path at which no photo can be read is a verdict here, so that the others have theirs.

        Raises:
            TypeError: ``photos`` is one photo, or a path.
        """
        ensure_several(photos)
        judged = await asyncio.gather(*(self.examine(photo, language) for photo in photos))
        return [one.verdict for one in judged]

    async def examine(
        self, photo: PhotoInput, language: str | None = None, *, keep: bool = False
    ) -> Judged:
        """As :meth:`check`, and the decoded photo, if the gate judges in this process.

        Args:
            photo: As :meth:`check` takes it, or an upload.
            language: As in :meth:`check`.
            keep: Hand on the decoded photo, and leave an upload's file open.
        """
        if not isinstance(photo, UploadFile):
            # wrong use by the caller is an error here, before it looks like a failure of the gate
            ensure_photo(photo)
        deadline = self._loop.ensure().time() + self.timeout_s
        try:
            if isinstance(photo, (str, PathLike)):
                photo = await asyncio.to_thread(portable, photo, self.limits.max_bytes)
            if isinstance(self.door, Judge):
                return await self.door.examine(photo, language, keep=keep, deadline=deadline)
            async with asyncio.timeout_at(deadline):
                given = await asyncio.to_thread(read, photo)
                if not keep:
                    await asyncio.to_thread(close, photo)
                verdict = await self.door.check(given, language)
                if not isinstance(verdict, Verdict):
                    raise WrongAnswer(f"the gate answered {type(verdict).__name__}, not a verdict")
                return Judged(verdict)
        except UnreadablePhoto as error:  # a path at which there is no file
            return Judged(self.refusal(code_of(error), language, str(error)), error=error)
        except Exception as error:
            return Judged(self._failed(error, language))

    @property
    def limits(self) -> Limits:
        """Bounds on bytes and pixels of a photo that is decoded in this process."""
        if isinstance(self.door, Judge):
            return self.door.rules.limits
        return self.settings.limits

    def is_alive(self) -> bool:
        """False if only a restart of this process can help; for an ``__is_alive__`` of your own."""
        return not isinstance(self.door, Judge) or self.door.is_alive()

    async def is_ready(self) -> bool:
        """True if the gate can judge now; for a ``__is_ready__`` of your own service."""
        self._loop.ensure()
        if not hasattr(self.door, "is_ready"):  # it cannot tell
            return True
        try:
            ready: bool = await self.door.is_ready()
            return ready
        except Exception as error:  # no connection
            logger.warning("The gate is not ready: %s", as_gate_failure(error).detail)
            return False

    def _failed(self, error: Exception, language: str | None) -> Verdict:
        """Count and log a failure; then the verdict that stands for it, or an exception."""
        failure = as_gate_failure(error)
        prometheus.GATE_ERRORS.labels(kind=failure.kind.value, outcome=self.on_gate_error).inc()
        logger.warning(
            "The gate gave no verdict (%s), so: %s. %s",
            failure.kind.value,
            self.on_gate_error,
            failure.detail,
            exc_info=error if failure.kind is FailureKind.FAILED else None,
        )
        if self.on_gate_error == "raise":
            raise failure
        if self.on_gate_error == "accept":
            return Verdict(verdict="accept")
        return self.refusal(ReasonCode.GATE_UNAVAILABLE, language, failure.because)

    def refusal(self, code: ReasonCode, language: str | None, detail: str) -> Verdict:
        """A retake that this service decided by itself."""
        chosen = self.messages.negotiate(language, self.settings.language)
        return Verdict(verdict="retake", reasons=[self.messages.reason(code, chosen, detail)])


def ensure_outcome(on_gate_error: str | None) -> None:
    """Refuse a word that says nothing about a failure.

    Raises:
        SettingsError: It is none of the three, nor None.
    """
    if on_gate_error not in (None, *get_args(OnGateError)):
        raise SettingsError(
            f"on_gate_error={on_gate_error!r} cannot be used; "
            f"allowed is {' or '.join(get_args(OnGateError))}."
        )
