"""The BentoML services: ``PlantScorer`` (the network) behind ``PlantGate`` (everything else).

::

    photo ─► PlantGate: decode, quality ─► uint8 [N,S,S,3] ─► PlantScorer: batches, forward pass
                        policy, verdict ◄─ float32 [N,1+C] ◄─┘

The scorer merges what arrives together, from all of its callers, into one forward pass.
"""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from plantood import __version__
from plantood.bento.errors import SetupError
from plantood.bento.gate_reference import GateReference
from plantood.bento.graceful import keep_sockets, outlive_other_services, remove_sockets_at_exit
from plantood.bento.liveness import answers, runs_beside
from plantood.bento.packing import pin_packed_gate, served_gate
from plantood.bento.probe import Probe
from plantood.bento.renewal import RenewConnections
from plantood.bentoml_private import has_trace_exporter
from plantood.defaults import GATE_SERVICE, SCORER_SERVICE
from plantood.errors import PlantoodError, SettingsError
from plantood.http.apps.gate import BESIDE, PlantGateService
from plantood.http.apps.scorer import NoInput, ScoreInput, ScorerService
from plantood.http.body import why_not_the_farmer
from plantood.http.inputs import CheckBatchInput, CheckInput
from plantood.judging import prometheus
from plantood.judging.judge import Judge, ServiceScorer
from plantood.judging.rules import Rules, servable_gate
from plantood.model.store import load_gate
from plantood.photo.forms import PhotoInput
from plantood.refusals import RequestRefused
from plantood.settings import Settings, variable
from plantood.verdict import Verdict

pin_packed_gate(Path.cwd())
try:
    settings = Settings.from_environment()
except SettingsError as error:  # BentoML's commands print their own kind as one sentence
    raise SetupError(str(error)) from None

prometheus.keep_apart()

KEEP_CONNECTIONS = {"max_requests": 10**12, "max_age": 1e12}
"""By default a caller closes its client session after 100 requests, and with it the requests that
are under way: under load, every hundredth breaks its neighbours (seen in BentoML 1.4.39; its issue
5544)."""

LIFE_SECONDS = 1.0
"""So long is a scorer's sign of life good, that probes do not stand in line with photos."""

LONGEST_REQUEST = settings.timeout_s + settings.gate_timeout_s
"""Seconds that a request may still take when the service is told to stop."""


@bentoml.on_deployment
def _before_start() -> None:
    """Once, before any worker starts: refuse what they could not use, and fix the gate's version.

    ``latest`` may come to mean another model while the service runs, also for one worker started
    in place of a dead one.
    """
    try:
        tag = served_gate(settings.gate, PlantScorer.bento)  # type: ignore[attr-defined]  # a service
        gate = servable_gate(settings, tag)
    except PlantoodError as error:
        raise SetupError(str(error)) from None
    os.environ[variable("gate")] = gate.tag
    remove_sockets_at_exit()
    if not has_trace_exporter():
        # Without an exporter BentoML still records a span for every piece of an upload.
        os.environ.setdefault("OTEL_SDK_DISABLED", "true")


@bentoml.service(
    name=SCORER_SERVICE,
    workers=1,
    threads=1,
    traffic={"timeout": settings.gate_timeout_s},
    runner_connection=dict(KEEP_CONNECTIONS),
    logging={"access": {"enabled": False}},  # the gate's own access log has every request
    service_class=ScorerService,
)
class PlantScorer:
    """The network: a batch of photos in, plant probability and embedding out."""

    gate_model = GateReference(settings.gate, settings.gate_sha256)
    before_start = _before_start

    def __init__(self) -> None:
        self.gate = load_gate(self.gate_model.tag, pin=settings.gate_sha256)
        self.scorer = self.gate.scorer(settings.scorer_threads)
        size = self.scorer.input_size
        self.scorer.score(np.zeros((1, size, size, 3), np.uint8))  # the first pass is slow

    @bentoml.on_startup
    def end_last(self) -> None:
        """Stay until all others have answered the requests that they have in hand."""
        keep_sockets(SCORER_SERVICE)
        outlive_other_services(SCORER_SERVICE, seconds=LONGEST_REQUEST)

    @bentoml.api(
        input_spec=ScoreInput,
        batchable=True,
        max_batch_size=settings.max_batch_size,
        max_latency_ms=settings.max_latency_ms,
    )
    def score(self, images: np.ndarray) -> np.ndarray:
        """Score photos.

        Args:
            images: uint8 RGB ``[N, S, S, 3]``, S as :meth:`describe` says.

        Returns:
            float32 ``[N, 1 + C]``: P(plant), then the embedding.
        """
        return self.scorer.score(images).rows()

    @bentoml.api(input_spec=NoInput)
    def describe(self) -> dict[str, Any]:
        """The tag of the gate model that scores, and the side of its square input in pixels."""
        return {"model": self.gate.tag, "input_size": self.scorer.input_size}


@bentoml.service(
    name=GATE_SERVICE,
    workers=settings.workers,
    runner_connection=dict(KEEP_CONNECTIONS),
    # BentoML's own look at the scorer opens a connection each time and answers 500 if there is
    # none; __is_ready__ proves more
    runner_probe={"enabled": False, "timeout": 1, "period": 10},
    service_class=PlantGateService,
)
@bentoml.asgi_app(BESIDE)
class PlantGate:
    """The gate: a photo in, `accept` or `retake` out."""

    gate_model = GateReference(settings.gate, settings.gate_sha256)
    before_start = _before_start
    scorer = bentoml.depends(PlantScorer)

    def __init__(self) -> None:
        self.gate = load_gate(self.gate_model.tag, pin=settings.gate_sha256)
        self.network = ServiceScorer(self.scorer)
        rules = Rules.of(self.gate, settings)
        self.judge = Judge(rules, self.network.score, settings, self.network.describe)
        self.scorer_lives = Probe(self._scorer_answers, LIFE_SECONDS)
        prometheus.announce(self.gate)

    @bentoml.on_startup
    def end_before_the_scorer(self) -> None:
        """Stay until the services that have this gate in front are done."""
        outlive_other_services(GATE_SERVICE, SCORER_SERVICE, seconds=LONGEST_REQUEST)

    @bentoml.on_shutdown
    def stop_judging(self) -> None:
        """Let the decoding threads end."""
        self.judge.close()

    @bentoml.api(input_spec=CheckInput)
    async def check(
        self, image: PhotoInput, language: str | None = None, timeout_ms: int | None = None
    ) -> Verdict:
        """Judge one photo: `accept` it, or ask for another one and say why.

        Send it as the multipart field `image`, or as the raw body with its own content type. A
        photo that cannot be read is a `retake` too, not an error.

        Args:
            image: An upload; from a service of the same bento its bytes, a Pillow image, or a uint8
                array ``[H, W, 3]`` (RGB).
            language: Of the messages: a tag, or an ``Accept-Language`` header.
            timeout_ms: Milliseconds that the caller still waits, at least 1; None if he says none.

        Raises:
            RequestRefused: 400, if the photo came in a way by which none can arrive.
            GateUnavailable: 503, if there is no score in time.
            CallerGone: 504, if the caller waits no longer.
        """
        judged = await self.judge.examine(image, language, timeout_ms=timeout_ms)
        if judged.error is not None and (mistake := why_not_the_farmer(image)):
            raise RequestRefused(mistake, HTTPStatus.BAD_REQUEST)
        return judged.verdict

    @bentoml.api(input_spec=CheckBatchInput)
    async def check_batch(
        self,
        images: list[PhotoInput],
        language: str | None = None,
        timeout_ms: int | None = None,
    ) -> list[Verdict]:
        """Judge several photos, sent as multipart fields `images`; the verdicts come in order.

        A bad photo is a verdict of its own and changes nothing for the others.

        Args:
            images: At most ``PLANTOOD_MAX_PHOTOS``, each as :meth:`check` takes it.
            language: As of :meth:`check`.
            timeout_ms: As of :meth:`check`, for all of them.

        Raises:
            RequestRefused: 400, if there are too many.
            GateUnavailable: 503, if one of them has no score in time.
            CallerGone: 504, if the caller waits no longer.
        """
        if len(images) > settings.max_photos:
            raise RequestRefused(
                f"{len(images)} photos are more than the limit of {settings.max_photos} a request; "
                "send them in several.",
                HTTPStatus.BAD_REQUEST,
            )
        judged = (self.judge.check(photo, language, timeout_ms=timeout_ms) for photo in images)
        return list(await asyncio.gather(*judged))

    async def __is_ready__(self) -> bool:
        """True if a photo can be judged now."""
        return await self.judge.is_ready()

    async def __is_alive__(self) -> bool:
        """False if only a restart can help: a decoding thread hangs, or the scorer beside is gone.

        Slow is not dead: `describe` waits for no more than the forward pass under way, however
        many photos wait behind it. A scorer elsewhere is not brought back by restarting gates.
        """
        if not self.judge.is_alive():
            return False
        return not runs_beside(SCORER_SERVICE) or await self.scorer_lives()

    async def _scorer_answers(self) -> bool:
        return await answers(self.network.describe, settings.gate_timeout_s)

    def describe(self) -> dict[str, Any]:
        """What ``GET /model`` answers."""
        # Where the photos lie that it was trained on is nobody's business but the trainer's.
        private = {"policy", "files", "metrics_summary", "data"}
        return {
            "model": self.gate.tag,
            **self.gate.manifest.model_dump(mode="json", exclude=private),
            "policy": self.judge.rules.policy.model_dump(),
            "metrics": {k: v for k, v in self.gate.metrics.items() if k != "seen"},
            "card": self.gate.card,
            "languages": self.judge.rules.messages.languages,
            "default_language": settings.language,
            "keeps_photos": bool(settings.capture),
            "service": {"plantood": __version__, "bentoml": bentoml.__version__},
        }


PlantScorer.add_asgi_middleware(RenewConnections)  # type: ignore[attr-defined]  # a service
