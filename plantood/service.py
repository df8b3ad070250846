"""The BentoML services: ``PlantScorer`` (the network) behind ``PlantGate`` (everything else).

::

    photo ─► PlantGate: decode, quality ─► uint8 [N,S,S,3] ─► PlantScorer: batches, forward pass
                        policy, verdict ◄─ float32 [N,1+C] ◄─┘

A photo is decoded in the gate's own threads (Pillow releases the interpreter lock), so that the
event loop is never blocked and as many photos are in memory as there are threads. Only its small
uint8 array travels to the scorer, under load several in one call; the scorer merges what arrives
together, from all of its callers, into one forward pass.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import aiohttp
import bentoml
import numpy as np
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLConfigException, BentoMLException

from . import __version__, prometheus
from .coalesce import Coalescer
from .errors import PhotoTooLarge, PlantoodError, SettingsError
from .gate import Prepared, finish, prepare
from .gate_reference import GateReference
from .graceful import outlive_other_services
from .http_app import BodyLimit, GateService
from .http_io import CheckBatchInput, CheckInput, PhotoInput, RequestRefused, read
from .images import Limits
from .messages import Messages
from .model.store import load_gate
from .policy import with_overrides
from .runtime import usable_cpus
from .settings import Settings, variable
from .verdict import Verdict

logger = logging.getLogger("bentoml.plantood")
try:
    settings = Settings.from_environment()
except SettingsError as error:  # BentoML's commands print their own kind as one sentence
    raise BentoMLConfigException(str(error)) from None

KEEP_CONNECTIONS = {"max_requests": 10**12, "max_age": 1e12}
"""By default a caller closes its client session after 100 requests, and with it the requests that
are under way: under load, every hundredth breaks its neighbours (seen in BentoML 1.4.39)."""

READY_SECONDS = 2.0
"""A scorer that does not answer a forward pass within this time is not ready; an answer is good
for half of it, so that probes cost a busy service nothing."""

SCORER_FAILURES = (aiohttp.ClientError, TimeoutError, BentoMLException)
"""Gone (connection refused or broken), stuck, or overloaded (BentoML's 503)."""


@bentoml.on_deployment
def _before_start() -> None:
    """Once, before any worker starts: refuse what they could not use, and fix the gate's version.

    A worker that cannot start would be started again and again. And ``latest`` may come to mean
    another model while the service runs, also for one worker started in place of a dead one.
    """
    try:
        gate = load_gate(GateReference(settings.gate).resolve().tag)
        with_overrides(gate.manifest.policy, settings.policy)
        Messages.load(settings.messages_file)
    except PlantoodError as error:
        raise BentoMLConfigException(str(error)) from None
    os.environ[variable("gate")] = gate.tag
    if not BentoMLContainer.tracing.exporter_type.get():
        # Without an exporter BentoML still records a span for every piece of an upload.
        os.environ.setdefault("OTEL_SDK_DISABLED", "true")


@bentoml.service(
    name="PlantScorer",
    workers=1,
    threads=1,
    traffic={"timeout": settings.score_timeout_s},
    runner_connection=dict(KEEP_CONNECTIONS),
    logging={"access": {"enabled": False}},  # the gate's own access log has every request
)
class PlantScorer:
    """The network: a batch of photos in, plant probability and embedding out."""

    gate_model = GateReference(settings.gate)
    before_start = _before_start

    def __init__(self) -> None:
        self.gate = load_gate(self.gate_model.tag)
        self.scorer = self.gate.scorer(settings.scorer_threads)
        size = self.scorer.input_size
        self.scorer.score(np.zeros((1, size, size, 3), np.uint8))  # the first pass is slow

    @bentoml.on_startup
    def end_last(self) -> None:
        """Stay until the gate has answered the requests that it has in hand."""
        outlive_other_services("PlantScorer", seconds=settings.score_timeout_s)

    @bentoml.api(
        batchable=True,
        max_batch_size=settings.max_batch_size,
        max_latency_ms=settings.max_latency_ms,
    )
    def score(self, images: np.ndarray) -> np.ndarray:
        """Score photos.

        Args:
            images: uint8 RGB ``[N, S, S, 3]``, S as :meth:`describe` says.

        Returns:
            float32 ``[N, 1 + C]``: P(plant), then the embedding. One array, so that BentoML can
            split a batch among its callers.
        """
        scores = self.scorer.score(images)
        return np.concatenate([scores.plant_probability[:, None], scores.embedding], axis=1)

    @bentoml.api
    def describe(self) -> dict[str, Any]:
        """The tag of the gate model that scores, and the side of its square input in pixels."""
        return {"model": self.gate.tag, "input_size": self.scorer.input_size}


@bentoml.service(
    name="PlantGate",
    workers=settings.workers,
    traffic={"timeout": settings.timeout_s},
    runner_connection=dict(KEEP_CONNECTIONS),
    # BentoML's own look at the scorer opens a connection each time and answers 500 if there is
    # none; __is_ready__ proves more
    runner_probe={"enabled": False, "timeout": 1, "period": 10},
    service_class=GateService,
)
class PlantGate:
    """The gate: a photo in, `accept` or `retake` out."""

    gate_model = GateReference(settings.gate)
    before_start = _before_start
    scorer = bentoml.depends(PlantScorer)

    def __init__(self) -> None:
        self.gate = load_gate(self.gate_model.tag)
        self.policy = with_overrides(self.gate.manifest.policy, settings.policy)
        self.reference = self.gate.reference()
        self.messages = Messages.load(settings.messages_file)
        self.limits = Limits(settings.max_upload_bytes, settings.max_pixels)
        self._decoders = ThreadPoolExecutor(
            settings.decode_threads or usable_cpus(), thread_name_prefix="decode"
        )
        self._preparing = 0
        self._scores = Coalescer(
            self._call_scorer, settings.max_batch_size, more_coming=lambda: self._preparing > 0
        )
        self._scored_at = float("-inf")
        prometheus.announce(self.gate.tag, self.gate.manifest.backbone, self.gate.manifest.head)

    @bentoml.on_shutdown
    def stop_decoding(self) -> None:
        """Let the decoding threads end."""
        self._decoders.shutdown(wait=False, cancel_futures=True)

    @bentoml.api(input_spec=CheckInput)
    async def check(self, image: PhotoInput, language: str | None = None) -> Verdict:
        """Judge one photo: `accept` it, or ask for another one and say why.

        Send it as the multipart field `image`, or as the raw body with its own content type. A
        photo that cannot be read is a `retake` too, not an error.
        """
        return await self._judge(image, language, refuse_large=True)

    @bentoml.api(input_spec=CheckBatchInput)
    async def check_batch(
        self, images: list[PhotoInput], language: str | None = None
    ) -> list[Verdict]:
        """Judge several photos, sent as multipart fields `images`; the verdicts come in order.

        A bad photo is a verdict of its own and changes nothing for the others.
        """
        if len(images) > settings.max_photos:
            raise RequestRefused(
                f"{len(images)} photos are more than the limit of {settings.max_photos} a request; "
                "send them in several.",
                HTTPStatus.BAD_REQUEST,
            )
        judged = (self._judge(photo, language, refuse_large=False) for photo in images)
        return list(await asyncio.gather(*judged))

    async def _judge(
        self, photo: PhotoInput, language: str | None, *, refuse_large: bool
    ) -> Verdict:
        """Judge one photo.

        Raises:
            RequestRefused: 413, if it is too large and ``refuse_large``; 503, if the scorer fails.
        """
        context = {
            "policy": self.policy,
            "messages": self.messages,
            "language": self.messages.negotiate(language, settings.language),
            "model": self.gate.tag,
        }
        self._preparing += 1
        try:
            prepared = await asyncio.get_running_loop().run_in_executor(
                self._decoders, self._prepare, photo, context, time.perf_counter()
            )
        finally:
            self._preparing -= 1
        if refuse_large and isinstance(prepared.error, PhotoTooLarge):
            raise RequestRefused(f"{prepared.error}.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        verdict = prepared.verdict
        if verdict is None:
            started = time.perf_counter()
            plant_probability, embedding = await self._score(prepared.model_input)
            unfamiliarity = None
            if self.reference is not None:
                unfamiliarity = float(self.reference.unfamiliarity(embedding[np.newaxis])[0])
            score_ms = (time.perf_counter() - started) * 1000
            verdict = finish(
                prepared, plant_probability, unfamiliarity, score_ms=score_ms, **context
            )
        prometheus.observe(verdict)
        return verdict

    def _prepare(self, photo: PhotoInput, context: dict[str, Any], submitted: float) -> Prepared:
        """Read, decode and measure one photo; runs in a decoding thread."""
        prometheus.STAGE_SECONDS.labels(stage="wait").observe(time.perf_counter() - submitted)
        return prepare(
            read(photo), limits=self.limits, input_size=self.gate.manifest.input_size, **context
        )

    async def _score(self, pixels: np.ndarray) -> tuple[float, np.ndarray]:
        """Plant probability and embedding float32 ``[C]`` of one photo, uint8 ``[S, S, 3]``.

        Raises:
            RequestRefused: 503, if the scorer is gone, too slow or overloaded.
        """
        try:
            async with asyncio.timeout(settings.score_timeout_s):
                scores = await self._scores(pixels)
        except SCORER_FAILURES as error:
            prometheus.SCORER_ERRORS.inc()
            logger.warning("The scorer gave no answer: %s: %s", type(error).__name__, error)
            raise RequestRefused(
                "The photo could not be judged, because the scorer gave no answer in time; "
                "try again in a few seconds.",
                HTTPStatus.SERVICE_UNAVAILABLE,
            ) from error
        self._scored_at = time.monotonic()
        return float(scores[0]), scores[1:]

    async def _call_scorer(self, images: np.ndarray) -> np.ndarray:
        """One call, uint8 ``[N, S, S, 3]`` to float32 ``[N, 1 + C]``.

        A connection that breaks is tried once more, since a scorer that died is started again.
        """
        async with asyncio.timeout(settings.score_timeout_s):
            try:
                return await self.scorer.to_async.score(images=images)
            except aiohttp.ClientError:
                return await self.scorer.to_async.score(images=images)

    async def __is_ready__(self) -> bool:
        """True if a photo can be judged now: the scorer answers a forward pass."""
        if time.monotonic() - self._scored_at < READY_SECONDS / 2:
            return True
        size = self.gate.manifest.input_size
        try:
            async with asyncio.timeout(READY_SECONDS):
                scorer = await self.scorer.to_async.describe()
                if scorer["model"] != self.gate.tag:
                    logger.error("The scorer has %s, the gate %s", scorer["model"], self.gate.tag)
                    return False
                await self._score(np.zeros((size, size, 3), np.uint8))
        except SCORER_FAILURES:  # RequestRefused among them
            return False
        return True

    async def __is_alive__(self) -> bool:
        """The same: a gate whose scorer never comes back is of no use and should be restarted."""
        return await self.__is_ready__()

    def describe(self) -> dict[str, Any]:
        """What ``GET /model`` answers."""
        manifest = self.gate.manifest
        return {
            "model": self.gate.tag,
            **manifest.model_dump(mode="json", exclude={"policy", "files", "metrics_summary"}),
            "policy": self.policy.model_dump(),
            "metrics": self.gate.metrics,
            "card": self.gate.card,
            "languages": self.messages.languages,
            "default_language": settings.language,
            "service": {"plantood": __version__, "bentoml": bentoml.__version__},
        }


PlantGate.add_asgi_middleware(
    BodyLimit, photo_bytes=settings.max_upload_bytes, max_photos=settings.max_photos
)
