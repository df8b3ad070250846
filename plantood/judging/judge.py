"""The judge in a service's own process: everything of a gate but the network, which is elsewhere.

::

    photo ─► decode, quality (threads) ─► uint8 [N,S,S,3] ─► scorer ─► policy ─► Verdict

`PlantGate` judges so, and so does every service that has only the scorer behind it: a BentoML
service, a legacy runner, or a session in the same process. A photo is decoded in threads (Pillow
releases the interpreter lock), so that the event loop is never blocked and as many photos are in
memory as there are threads. Under load several photos travel to the scorer in one call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.bento.probe import Probe
from plantood.errors import UnreadablePhoto
from plantood.judging import prometheus
from plantood.judging.capture.queue import Capture
from plantood.judging.coalesce import Coalescer
from plantood.judging.failures import (
    CallerGone,
    FailureKind,
    GateUnavailable,
    WrongAnswer,
    as_gate_failure,
    with_one_more_try,
)
from plantood.judging.overload import Queue
from plantood.judging.prepare import Prepared, finish, most_decoding, prepare_photo, too_slow
from plantood.judging.rules import Rules, decoders
from plantood.photo.forms import PhotoInput, close, read
from plantood.photo.images import Admit, LoadedImage, Photo
from plantood.refusals import RequestRefused
from plantood.settings import Settings
from plantood.verdict import Verdict

logger = logging.getLogger("bentoml.plantood")

PASS_SECONDS = 2.0
"""A scorer that does not answer a forward pass within this time is not ready; an answer is good
for half of it, so that probes cost a busy service nothing, and an idle one no more than a pass a
second."""

DESCRIBED_SECONDS = 10.0
"""So long is the scorer's word for which gate model it has good, while nothing breaks."""

Score = Callable[[NDArray[np.uint8]], Awaitable[NDArray[np.float32]]]
"""uint8 RGB ``[N, S, S, 3]`` to float32 ``[N, 1 + C]``: P(plant), then the embedding."""

Describe = Callable[[], Awaitable[dict[str, Any]]]
"""What the scorer is: the tag of its gate ``model``."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A verdict, and what was seen on the way to it.

    Attributes:
        verdict: The verdict.
        image: The decoded photo, if it was to be kept and is fit to be used.
        error: Why the photo is unreadable, or None.
    """

    verdict: Verdict
    image: LoadedImage | None = None
    error: UnreadablePhoto | None = None


class _OwnTime:
    """How long a photo's own work takes: all that a decoding thread does for it.

    What it waits for, a thread or memory, is not its own.
    """

    def __init__(self) -> None:
        self._spent = 0.0
        self._began: float | None = None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what is done within, in the one thread that does it."""
        self._began = began = time.monotonic()
        try:
            yield
        finally:
            self._began = None
            self._spent += time.monotonic() - began

    @property
    def seconds(self) -> float:
        """So far, asked from another thread; what is being done counts."""
        spent, began = self._spent, self._began  # in this order: what ends now counts once at most
        return spent + (0.0 if began is None else time.monotonic() - began)


class Judge:
    """Judges photos with a scorer that runs elsewhere. Belongs to one event loop."""

    def __init__(
        self, rules: Rules, score: Score, settings: Settings, describe: Describe | None = None
    ) -> None:
        """Judge by ``rules``.

        Args:
            rules: The gate without its network.
            score: The network.
            settings: Sizes of the pools, and how long to wait for a score.
            describe: Asks the scorer which gate model it has. Given that, a photo is never judged
                by the scores of another one.

        Raises:
            SettingsError: Photos are to be captured where nothing can be written.
        """
        self.rules = rules
        self._score = score
        self._describe = describe
        self._described_at = float("-inf")
        self._seconds = settings.gate_timeout_s
        self.decoders = decoders(settings, rules.limits)
        self._queue = Queue(settings.max_latency_ms / 1000)
        self._preparing = 0
        self._rows = Coalescer(
            self._scores, settings.max_batch_size, more_coming=lambda: self._preparing > 0
        )
        self._scored_at = float("-inf")
        self._passes = Probe(self._makes_a_pass, PASS_SECONDS / 2)
        self._capture = Capture.from_settings(settings)

    def close(self) -> None:
        """Let the decoding threads end, and write what is still to be captured."""
        self.decoders.close()
        if self._capture is not None:
            self._capture.close()

    async def check(
        self, photo: PhotoInput, language: str | None = None, *, timeout_ms: int | None = None
    ) -> Verdict:
        """Judge one photo; whatever is wrong with it is a verdict.

        Args:
            photo: Bytes, a path, a Pillow image, a uint8 array ``[H, W, 3]`` (RGB), or an upload.
            language: Of the messages: a tag, or an ``Accept-Language`` header.
            timeout_ms: As :meth:`examine` takes it.

        Raises:
            GateUnavailable: The scorer is gone, too slow, overloaded, or gave a wrong answer.
            CallerGone: ``timeout_ms`` are over.
            TypeError: ``photo`` is of none of these types.
            ValueError: It is an array of another shape.
        """
        return (await self.examine(photo, language, timeout_ms=timeout_ms)).verdict

    async def examine(
        self,
        photo: PhotoInput,
        language: str | None = None,
        *,
        keep: bool = False,
        deadline: float | None = None,
        timeout_ms: int | None = None,
    ) -> Judged:
        """As :meth:`check`, with more of what was seen.

        Args:
            photo: As :meth:`check` takes it.
            language: As in :meth:`check`.
            keep: Hand on the decoded photo, and leave an upload's file open.
            deadline: By when, in the event loop's time; by default ``PLANTOOD_GATE_TIMEOUT_S``
                from now.
            timeout_ms: Milliseconds that the caller still waits, whoever that is; None if he does
                not say. When they are over, his photo is given up, unless it is being scored
                already; since he may say 1, that is no failure of the scorer's.

        Raises:
            GateUnavailable: As of :meth:`check`.
            CallerGone: As of :meth:`check`.
            TypeError: As of :meth:`check`.
            ValueError: As of :meth:`check`.
        """
        now = asyncio.get_running_loop().time()
        deadline = deadline or now + self._seconds
        gone = math.inf if timeout_ms is None else now + timeout_ms / 1000
        until = min(deadline, gone)
        context = {
            "policy": self.rules.policy,
            "messages": self.rules.messages,
            "language": self.rules.messages.negotiate(language, self.rules.language),
            "model": self.rules.tag,
        }
        prepared, data = None, None
        with self._place():
            try:
                async with asyncio.timeout_at(until):
                    prepared, data = await self._prepared(photo, keep, context, until - now)
                    verdict = prepared.verdict or await self._scored(prepared, context, deadline)
            except TimeoutError as late:
                raise self._given_up(late, gone < deadline, prepared is not None) from late
        prometheus.observe(verdict)
        if self._capture is not None:
            self._capture.offer(data, verdict)
        return Judged(verdict, prepared.image, prepared.error)

    def _place(self) -> AbstractContextManager[None]:
        """A place in the queue; a photo for which there is none is counted as without a score."""
        try:
            return self._queue.place()
        except GateUnavailable as full:
            prometheus.SCORER_ERRORS.inc()
            logger.warning("The photo was turned away at once: %s", full.detail)
            raise

    async def _prepared(
        self, photo: PhotoInput, keep: bool, context: dict[str, Any], seconds: float
    ) -> tuple[Prepared, Photo | None]:
        """The photo before the network, and what was read of it if it may have to be kept.

        One that takes too much of the ``seconds`` that there are is refused as soon as it has: a
        caller elsewhere is told so while he still waits.
        """
        submitted = started = time.perf_counter()
        own, most = _OwnTime(), most_decoding(seconds)

        def prepare_now(admit: Admit) -> tuple[Prepared, Photo | None]:
            nonlocal started
            started = time.perf_counter()
            with own.counted():  # from the first byte on: to look through a file takes time, too
                return self._prepare(photo, keep, context, admit)

        self._preparing += 1
        work = asyncio.wrap_future(self.decoders.submit(prepare_now))
        try:
            while not work.done():
                if (left := most - own.seconds) <= 0:
                    return too_slow(most, context), None
                await asyncio.wait([work], timeout=left)
        finally:
            work.cancel()
            self._preparing -= 1
        prometheus.STAGE_SECONDS.labels(stage="wait").observe(started - submitted)
        return work.result()

    async def _scored(
        self, prepared: Prepared, context: dict[str, Any], deadline: float
    ) -> Verdict:
        """The verdict by the network."""
        assert prepared.model_input is not None  # there is no verdict
        started = time.perf_counter()
        plant_probability = await self.score(prepared.model_input, deadline)
        score_ms = (time.perf_counter() - started) * 1000
        return finish(prepared, plant_probability, score_ms=score_ms, **context)

    async def score(self, pixels: NDArray[np.uint8], deadline: float) -> float:
        """Plant probability of one photo, 0..1.

        Args:
            pixels: uint8 ``[S, S, 3]``.
            deadline: After which nobody waits for them, in the event loop's time.

        Raises:
            GateUnavailable: The scorer is gone, overloaded, or gave a wrong answer.
        """
        try:
            row = await self._row(pixels, deadline)
        except Exception as error:
            raise self._failure(error) from error
        return float(row[0])

    async def _row(self, pixels: NDArray[np.uint8], deadline: float) -> NDArray[np.float32]:
        """What the scorer says of one photo, float32 ``[1 + C]``; raises what it raises."""
        row: NDArray[np.float32] = await self._rows(pixels, deadline)
        if not (np.isfinite(row).all() and 0 <= row[0] <= 1):
            raise WrongAnswer("the scores are not numbers, or P(plant) is not in 0 to 1")
        self._scored_at = time.monotonic()
        return row

    def _given_up(self, late: TimeoutError, is_gone: bool, decoded: bool) -> RequestRefused:
        """Why a photo has no verdict whose time was over."""
        if is_gone:
            logger.info("The photo was not judged: its sender waits no longer.")
            return CallerGone()
        return self._failure(late) if decoded else _not_decoded()

    def _failure(self, error: Exception) -> GateUnavailable:
        """Count and log that there are no scores."""
        prometheus.SCORER_ERRORS.inc()
        self._described_at = float("-inf")  # what comes back may have another model
        failure = as_gate_failure(error)
        logger.warning("The scorer gave no answer: %s", failure.detail)
        return failure

    async def is_ready(self) -> bool:
        """True if a photo can be judged now: threads decode, the scorer answers a forward pass."""
        if time.monotonic() - self._scored_at < PASS_SECONDS / 2:
            return True
        return await self._passes()

    async def _makes_a_pass(self) -> bool:
        """As :meth:`is_ready`, by a forward pass. No photo is lost if it fails: none is counted."""
        size = self.rules.input_size
        self._described_at = float("-inf")
        try:
            async with asyncio.timeout(PASS_SECONDS) as answered:
                await self.decoders.run(lambda admit: None)
                await self._row(np.zeros((size, size, 3), np.uint8), answered.when() or 0.0)
        except Exception as error:
            self._described_at = float("-inf")
            logger.warning("The gate is not ready: %s", as_gate_failure(error).detail)
            return False
        return True

    def is_alive(self) -> bool:
        """False if only a restart can help: a decoding thread hangs."""
        return not self.decoders.is_stuck()

    def _prepare(
        self, photo: PhotoInput, keep: bool, context: dict[str, Any], admit: Admit
    ) -> tuple[Prepared, Photo | None]:
        """Read, decode and measure one photo; runs in a decoding thread.

        Returns:
            The photo before the network, and what was read of it if it may have to be kept.
        """
        data = read(photo)
        prepared = prepare_photo(
            data,
            limits=self.rules.limits,
            input_size=self.rules.input_size,
            keep_image=keep,
            admit=admit,
            **context,
        )
        if not keep:
            close(photo)
        return prepared, None if self._capture is None else data

    async def _scores(self, images: NDArray[np.uint8], deadline: float) -> NDArray[np.float32]:
        """One call of the scorer, uint8 ``[N, S, S, 3]`` to float32 ``[N, 1 + C]``."""
        async with asyncio.timeout_at(deadline):
            now = time.monotonic()
            if self._describe is not None and now - self._described_at > DESCRIBED_SECONDS:
                found = (await self._describe())["model"]
                if found != self.rules.tag:
                    raise WrongAnswer(f"the scorer has {found}, the gate {self.rules.tag}")
                self._described_at = now
            scores = np.asarray(await self._score(images))
        fits = scores.ndim == 2 and len(scores) == len(images) and scores.shape[1] > 1
        if not (fits and scores.dtype.kind == "f"):
            raise WrongAnswer(
                f"the scorer answered {scores.dtype} {list(scores.shape)} to {len(images)} photos"
            )
        return scores


def _not_decoded() -> GateUnavailable:
    """Log that a photo's time was over before the network saw it, for which no scorer can help."""
    failure = GateUnavailable(FailureKind.TIMEOUT, "a photo was not decoded in time")
    logger.warning("The photo was not judged: %s", failure.detail)
    return failure


class ServiceScorer:
    """The scorer as another BentoML service: what ``bentoml.depends(PlantScorer)`` resolves to."""

    def __init__(self, service: Any) -> None:
        """Call ``service``, BentoML's proxy of a service, or an instance of it in this process."""
        self._service = service

    async def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Score photos, as :data:`Score`."""
        return await with_one_more_try(lambda: self._service.to_async.score(images=images))

    async def describe(self) -> dict[str, Any]:
        """What it is, as :data:`Describe`."""
        return await with_one_more_try(self._service.to_async.describe)
