"""One photo's way before the network and after it; the network's scores come from elsewhere.

:func:`prepare_photo` decodes, measures and shrinks, :func:`finish` makes a verdict of the scores.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.judging.messages import Messages
from plantood.model.parts.policy import Policy, explain, reasons_to_retake
from plantood.photo.images import Admit, Limits, LoadedImage, Photo, load_image, to_model_input
from plantood.photo.quality import measure
from plantood.verdict import Quality, ReasonCode, Verdict

SLOW_S = 0.5
"""Seconds of decoding; a usual photo takes a tenth of that."""


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


def prepare_photo(
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
        ms = ms_since(started)
        return unreadable(
            error, ms, policy=policy, messages=messages, language=language, model=model
        )
    timings = {"decode": ms_since(started)}

    started = time.perf_counter()
    quality = measure(image)
    timings["quality"] = ms_since(started)
    if reasons := reasons_to_retake(quality, policy):
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
    timings["decode"] = round(timings["decode"] + ms_since(started), 2)
    kept = image if keep_image else None
    return Prepared(model_input=model_input, quality=quality, timings_ms=timings, image=kept)


def unreadable(
    error: UnreadablePhoto,
    decode_ms: float,
    *,
    policy: Policy,
    messages: Messages,
    language: str,
    model: str,
) -> Prepared:
    """A photo that was not decoded.

    Args:
        error: Why.
        decode_ms: Milliseconds that it took to see that.
        policy: As of :func:`prepare_photo`, and so are the others.
        messages: Sentences for the farmer.
        language: Of the sentences.
        model: Tag of the gate model.
    """
    verdict = Verdict(
        verdict="retake",
        reasons=[messages.reason(code_of(error), language, str(error))],
        threshold=policy.plant_threshold,
        model=model,
        timings_ms={"decode": decode_ms},
    )
    return Prepared(verdict, timings_ms=verdict.timings_ms, error=error)


def most_decoding(seconds: float) -> float:
    """Seconds that a photo's own decoding may take, of those that there are for a verdict."""
    return max(seconds / 2, SLOW_S)


def too_slow(decoded_s: float, context: dict[str, Any]) -> Prepared:
    """A photo whose own decoding takes more than it may, whatever comes of it.

    It is refused: if it were a failure, it would pass wherever photos are accepted while the gate
    fails.

    Args:
        decoded_s: Seconds that it may take.
        context: Arguments of :func:`unreadable`.
    """
    error = PhotoTooLarge(f"it takes more than {decoded_s:.1f} s to decode; send it as a JPEG")
    return unreadable(error, round(decoded_s * 1000, 2), **context)


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
    assert prepared.quality is not None  # of what has no verdict
    reasons = reasons_to_retake(prepared.quality, policy, plant_probability)
    return Verdict(
        verdict="retake" if reasons else "accept",
        reasons=[messages.reason(code, language) for code in reasons],
        plant_probability=plant_probability,
        threshold=policy.plant_threshold,
        quality=prepared.quality,
        model=model,
        timings_ms={**(prepared.timings_ms or {}), "score": round(score_ms, 2)},
    )


def ms_since(started: float) -> float:
    """Milliseconds since a time of `time.perf_counter`, to a hundredth."""
    return round((time.perf_counter() - started) * 1000, 2)
