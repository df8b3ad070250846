"""The gate in process: the same judge as the service, without a server.

::

    gate = Gate.load()                      # the newest plantood-gate of the Bento model store
    gate.check("leaf.jpg")                  # -> Verdict
    gate.check_many(Path("photos").iterdir())   # decodes beside the network, scores in batches

A photo goes through :func:`prepare` (decode, measure, shrink), the scorer, and :func:`finish`
(policy, messages). Whoever has a scorer elsewhere, as the service has, calls the two itself.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.bento.gate_reference import open_store
from plantood.bento.packing import ensure_packed
from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.judging.messages import DEFAULT_LANGUAGE, Messages
from plantood.model.entry import GateModel
from plantood.model.policy import Policy, explain, quality_reasons, score_reasons, with_overrides
from plantood.model.runtime import usable_cpus
from plantood.model.store import load_gate
from plantood.photo.images import Admit, Limits, LoadedImage, Photo, load_image, to_model_input
from plantood.photo.quality import measure
from plantood.settings import DEFAULT_GATE, Settings, naming
from plantood.verdict import Quality, ReasonCode, Verdict


@dataclass(frozen=True, eq=False)
class Prepared:
    """A photo before the network: either judged already, or ready to be scored.

    Attributes:
        verdict: Final, if the photo was refused without the network; else None.
        model_input: uint8 RGB ``[S, S, 3]``, or None if there is a verdict.
        quality: What was measured, or None if the photo is unreadable.
        timings_ms: Milliseconds spent by stage so far.
        error: Why the photo is unreadable, or None.
        image: The decoded photo, if it was to be kept.
    """

    verdict: Verdict | None = None
    model_input: NDArray[np.uint8] | None = None
    quality: Quality | None = None
    timings_ms: Mapping[str, float] | None = None
    error: UnreadablePhoto | None = None
    image: LoadedImage | None = None


def prepare(
    photo: Photo,
    *,
    policy: Policy,
    limits: Limits | None,
    messages: Messages,
    language: str,
    model: str,
    input_size: int,
    keep_image: bool = False,
    admit: Admit | None = None,
) -> Prepared:
    """Decode and measure a photo; what is wrong with it is a verdict, never an exception.

    Args:
        photo: As :func:`plantood.photo.images.load_image` takes it.
        policy: Thresholds of the quality cues.
        limits: Bounds on bytes, pixels and memory; a photo above them is ``too_large``.
        messages: Sentences for the farmer.
        language: Language of the sentences, a tag or an ``Accept-Language`` header.
        model: Tag of the gate model, for the verdict.
        input_size: Side S of the model's square input, in pixels.
        keep_image: Hand on the decoded photo, for whoever needs it after the verdict.
        admit: As :func:`plantood.photo.images.load_image` takes it.

    Raises:
        TypeError: ``photo`` is not of a type that is taken.
        ValueError: It is an array of a shape that is not taken.
    """
    started = time.perf_counter()
    try:
        image = load_image(photo, limits, admit)
    except UnreadablePhoto as error:
        verdict = Verdict(
            verdict="retake",
            reasons=[messages.reason(code_of(error), language, str(error))],
            threshold=policy.plant_threshold,
            model=model,
            timings_ms={"decode": _ms_since(started)},
        )
        return Prepared(verdict, timings_ms=verdict.timings_ms, error=error)
    timings = {"decode": _ms_since(started)}

    started = time.perf_counter()
    quality = measure(image)
    timings["quality"] = _ms_since(started)
    if reasons := quality_reasons(quality, policy):
        verdict = Verdict(
            verdict="retake",
            reasons=[
                messages.reason(code, language, explain(code, quality, policy)) for code in reasons
            ],
            threshold=policy.plant_threshold,
            quality=quality,
            model=model,
            timings_ms=timings,
        )
        return Prepared(verdict, quality=quality, timings_ms=timings)

    started = time.perf_counter()
    model_input = to_model_input(image, input_size)
    timings["decode"] = round(timings["decode"] + _ms_since(started), 2)
    kept = image if keep_image else None
    return Prepared(model_input=model_input, quality=quality, timings_ms=timings, image=kept)


def code_of(error: UnreadablePhoto) -> ReasonCode:
    """Why a photo that was not decoded has to be taken again."""
    too_large = isinstance(error, PhotoTooLarge)
    return ReasonCode.TOO_LARGE if too_large else ReasonCode.UNREADABLE


def finish(
    prepared: Prepared,
    plant_probability: float,
    *,
    policy: Policy,
    messages: Messages,
    language: str,
    model: str,
    score_ms: float,
) -> Verdict:
    """Judge a prepared photo by its scores.

    Args:
        prepared: A photo without a verdict.
        plant_probability: P(plant), 0 to 1.
        policy: Thresholds.
        messages: Sentences for the farmer.
        language: Language of the sentences, a tag or an ``Accept-Language`` header.
        model: Tag of the gate model, for the verdict.
        score_ms: Milliseconds that the photo spent at the scorer.
    """
    reasons = score_reasons(plant_probability, policy)
    return Verdict(
        verdict="retake" if reasons else "accept",
        reasons=[messages.reason(code, language) for code in reasons],
        plant_probability=plant_probability,
        threshold=policy.plant_threshold,
        quality=prepared.quality,
        model=model,
        timings_ms={**(prepared.timings_ms or {}), "score": round(score_ms, 2)},
    )


class Gate:
    """A gate model, ready to judge. May be shared between threads."""

    def __init__(
        self,
        model: GateModel,
        *,
        threads: int | None = None,
        policy: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        messages: Messages | str | Path | None = None,
        language: str = DEFAULT_LANGUAGE,
    ) -> None:
        """Start the scorer of a gate model; the arguments are those of :meth:`load`."""
        self.tag = model.tag
        self.language = language
        self.policy = with_overrides(model.manifest.policy, policy)
        self.limits = limits or Limits()
        self.messages = messages if isinstance(messages, Messages) else Messages.load(messages)
        self.scorer = model.scorer(threads)

    @classmethod
    def load(
        cls,
        tag: str | None = None,
        *,
        threads: int | None = None,
        policy: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        messages: Messages | str | Path | None = None,
        language: str | None = None,
    ) -> Gate:
        """Load a gate from the Bento model store.

        What is not given is what the environment says (``PLANTOOD_*``, docs/configuration.md), as
        it is for the service and the command. On a fresh machine the starter gate is installed.

        Args:
            tag: Its tag there; by default ``PLANTOOD_GATE``.
            threads: Threads of the forward pass; by default the cores that the process may use.
            policy: Thresholds that replace, by name, those of ``PLANTOOD_POLICY``, which replace
                those saved with the model.
            limits: Bounds on bytes, pixels and memory of a photo.
            messages: Messages, or the path of an operator's file.
            language: Of the messages, if none is asked for that is known.

        Raises:
            GateModelNotFound: The store has no such gate; or none is named, in a bento that packs
                none.
            GateModelCorrupt: One of its files is missing or was changed.
            SettingsError: ``policy``, ``messages`` or a variable cannot be used.
        """
        settings = Settings.from_environment()
        if tag is None and settings.gate == DEFAULT_GATE:
            ensure_packed(Path.cwd())
        model = load_gate(open_store(tag or settings.gate))
        with naming("policy"):
            with_overrides(model.manifest.policy, settings.policy)
        if messages is None:
            with naming("messages_file"):
                messages = Messages.load(settings.messages_file)
        gate = cls(
            model,
            threads=threads or settings.scorer_threads,
            policy={**settings.policy, **(policy or {})},
            limits=limits or settings.limits,
            messages=messages,
            language=language or settings.language,
        )
        with naming("language"):
            gate.messages.ensure_known(settings.language)
        return gate

    def check(self, photo: Photo, language: str | None = None) -> Verdict:
        """Judge one photo.

        Args:
            photo: Bytes, a path, a Pillow image, or a uint8 array ``[H, W, 3]`` (RGB).
            language: Of the messages: a tag, or an ``Accept-Language`` header. Default: the gate's.

        Raises:
            TypeError: ``photo`` is of none of these types.
            ValueError: It is an array of another shape.
        """
        language = self._language(language)
        return self._finish([self._prepare(photo, language)], language)[0]

    def check_many(
        self,
        photos: Iterable[Photo],
        language: str | None = None,
        batch_size: int = 16,
    ) -> list[Verdict]:
        """Judge many photos; the verdicts come in the order of the photos.

        See :meth:`iter_check`, which does the same without waiting for the last photo.
        """
        return list(self.iter_check(photos, language, batch_size))

    def iter_check(
        self,
        photos: Iterable[Photo],
        language: str | None = None,
        batch_size: int = 16,
    ) -> Iterator[Verdict]:
        """Judge photos one after the other as they become ready, in their order.

        Photos are decoded in threads while the network works on full batches. ``photos`` is
        consumed as it is needed: at most two batches of photos are ahead, so that it may be
        endless.

        Args:
            photos: Each as :meth:`check` takes it.
            language: As in :meth:`check`.
            batch_size: Photos in one forward pass.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        language = self._language(language)
        photos = iter(photos)
        pool = ThreadPoolExecutor(usable_cpus(), thread_name_prefix="decode")
        decoding: deque[Future[Prepared]] = deque()
        batch: list[Prepared] = []
        try:
            while True:
                for photo in itertools.islice(photos, 2 * batch_size - len(decoding)):
                    decoding.append(pool.submit(self._prepare, photo, language))
                if not decoding:
                    break
                batch.append(decoding.popleft().result())
                to_score = sum(prepared.verdict is None for prepared in batch)
                if to_score in (0, batch_size) or len(batch) >= 4 * batch_size:
                    yield from self._finish(batch, language)
                    batch = []
            yield from self._finish(batch, language)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _language(self, wanted: str | None) -> str:
        return self.messages.negotiate(wanted, self.language)

    def _prepare(self, photo: Photo, language: str) -> Prepared:
        return prepare(
            photo,
            policy=self.policy,
            limits=self.limits,
            messages=self.messages,
            language=language,
            model=self.tag,
            input_size=self.scorer.input_size,
        )

    def _finish(self, batch: list[Prepared], language: str) -> list[Verdict]:
        """Score those that have no verdict, in one forward pass; its time is shared among them."""
        inputs = [p.model_input for p in batch if p.model_input is not None]
        if not inputs:
            return [p.verdict for p in batch if p.verdict is not None]
        started = time.perf_counter()
        scores = self.scorer.score(np.stack(inputs))
        score_ms = _ms_since(started) / len(inputs)
        probabilities = iter(scores.plant_probability.tolist())
        return [
            p.verdict
            or finish(
                p,
                next(probabilities),
                policy=self.policy,
                messages=self.messages,
                language=language,
                model=self.tag,
                score_ms=score_ms,
            )
            for p in batch
        ]


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
