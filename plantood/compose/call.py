"""One call of a gated method: judge, let the accepted photos through, put all together."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
from bentoml.exceptions import BentoMLException
from starlette.datastructures import UploadFile

from plantood.compose.front import Front
from plantood.compose.gate import ComposedGate
from plantood.compose.gates import ServiceGates
from plantood.compose.method.beside import decode, pictures_beside
from plantood.compose.method.request import Sent
from plantood.errors import PhotoFileError, UnreadablePhoto
from plantood.http.body import why_not_the_farmer
from plantood.judging.failures import GateUnavailable
from plantood.judging.judge import Judged
from plantood.judging.prepare import code_of
from plantood.photo.decoding import Decoders
from plantood.photo.forms import Form, PhotoInput, as_wanted
from plantood.refusals import RequestRefused
from plantood.verdict import Verdict


@dataclass
class _Outcome:
    """What becomes of one photo: ``result`` is an output, a verdict, or the error to answer."""

    parameter: str = ""
    result: Any = None


@dataclass(kw_only=True)
class _Accepted(_Outcome):
    """What becomes of a photo for which the method gives the ``result``."""

    photo: PhotoInput
    language: str | None
    judged: Judged


async def call_gated(
    front: Front, service: Any, given: dict[str, Any], language: str | None
) -> Any:
    """Judge the photos of a call, run the method for those accepted, and put them together.

    Args:
        front: The gate in front of the method.
        service: The object of the service.
        given: The arguments by name, with the defaults.
        language: Of the messages, if a call from this process names one. A photo that comes
            with a request brings its own.

    Raises:
        GateUnavailable: The gate failed, and the call came from this process, not by HTTP.
        PhotoFileError: No photo can be read at the path that such a call names.
    """
    signature = front.signature
    if signature.many:
        photos = [(signature.photo, photo) for photo in given[signature.photo]]
    else:
        photos = [(name, given[name]) for name in signature.photos]
        if refused := [photo for _, photo in photos if isinstance(photo, RequestRefused)]:
            return _answer(front, given, [_Outcome(result=refused[0])])
    gates = ServiceGates.of(service)
    async with contextlib.AsyncExitStack() as cleanup:
        for _, photo in photos:
            if isinstance(photo, Sent) and isinstance(photo.photo, UploadFile):
                cleanup.push_async_callback(photo.photo.close)
        gate = await gates.gate(front)
        outcomes = await asyncio.gather(
            *(_judge(front, gate, name, photo, language) for name, photo in photos)
        )
        accepted = [outcome for outcome in outcomes if isinstance(outcome, _Accepted)]
        if accepted if signature.many else len(accepted) == len(outcomes):
            decoders = gates.decoders(gate)

            def convert() -> dict[str, Any]:
                made = _convert(front, gate, decoders, accepted, cleanup)
                return made if made and _decode_beside(front, decoders, given, accepted) else {}

            await _run(front, service, given, accepted, convert)
    return _answer(front, given, outcomes)


def _answer(front: Front, given: dict[str, Any], outcomes: list[_Outcome]) -> Any:
    """What the method's caller gets; of several photos for one output, the first refusal."""
    signature = front.signature
    if signature.many:
        return [outcome.result for outcome in outcomes]
    answer = next((o for o in outcomes if _status(front, o.result)), outcomes[0])
    result = answer.result
    if len(outcomes) > 1 and isinstance(result, Verdict) and _status(front, result):
        result = _about(result, answer.parameter)
    if signature.context and (status := _status(front, result)):
        given[signature.context].response.status_code = status  # BentoML takes it from there
    return result


async def _judge(
    front: Front, gate: ComposedGate, name: str, photo: Any, language: str | None
) -> _Outcome:
    """The outcome of a refused photo; of an accepted one all that the method needs."""
    if isinstance(photo, RequestRefused):  # in the place of its sender, among merged requests
        return _Outcome(name, photo)
    sent = photo if isinstance(photo, Sent) else Sent(photo, language)
    language = sent.language
    try:
        judged = await gate.examine(sent.photo, language, keep=True)
    except GateUnavailable as failure:
        if sent is not photo:
            raise
        return _Outcome(name, failure)
    if isinstance(judged.error, PhotoFileError) and not front.signature.many:
        raise judged.error  # only a call from this process names a path
    if judged.error is not None and (mistake := why_not_the_farmer(sent.photo)):
        return _Outcome(name, RequestRefused(mistake, HTTPStatus.BAD_REQUEST))
    if not judged.verdict.accepted:
        return _Outcome(name, judged.verdict)
    return _Accepted(name, photo=sent.photo, language=language, judged=judged)


def _convert(
    front: Front,
    gate: ComposedGate,
    decoders: Decoders,
    accepted: list[_Accepted],
    cleanup: contextlib.AsyncExitStack,
) -> dict[str, Any]:
    """The arguments that the accepted photos become; empty if none of them can be decoded.

    Blocks. A photo that cannot be decoded is accepted only if no gate has seen it: then it is
    refused here, and taken out of the list.
    """
    signature, photos = front.signature, []
    folder = None
    if Form.PATH in signature.photos.values():
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="plantood-")))
    for outcome in list(accepted):
        form, seen = signature.photos[outcome.parameter], outcome.judged.image
        wanted = functools.partial(as_wanted, outcome.photo, form, seen, gate.limits, folder=folder)
        try:
            photos.append(decoders.submit(wanted).result())
        except UnreadablePhoto as error:
            outcome.result = gate.refusal(code_of(error), outcome.language, str(error))
            accepted.remove(outcome)
    if len(accepted) < (1 if signature.many else len(signature.photos)):
        return {}
    verdicts: Any = [outcome.judged.verdict for outcome in accepted]
    if signature.many:
        made = {signature.photo: photos}
    else:
        made = dict(zip(signature.photos, photos, strict=True))
        verdicts = verdicts if len(photos) > 1 else verdicts[0]
    return made | ({signature.verdict: verdicts} if signature.verdict else {})


def _decode_beside(
    front: Front, decoders: Decoders, given: dict[str, Any], accepted: list[_Accepted]
) -> bool:
    """Decode the pictures beside the photos; False if one is broken, which is the answer then."""
    photos = given[front.signature.photo]
    if not isinstance(photos[0] if front.signature.many else photos, Sent):
        return True  # a call from this process, whose pictures are not a stranger's
    try:
        for picture in pictures_beside(given, front.signature.photos):
            decoders.submit(functools.partial(decode, picture)).result()
    except RequestRefused as refused:
        accepted[0].result = refused
        return False
    return True


async def _run(
    front: Front,
    service: Any,
    given: dict[str, Any],
    accepted: list[_Accepted],
    convert: Callable[[], dict[str, Any]],
) -> None:
    """Call the method with the accepted photos, and take over what it returns.

    Decoded photos are large. So they are made where a sync method runs, which bounds how many
    of them are in memory.

    Raises:
        ValueError: It returned another number of outputs than it got photos.
    """
    signature, gates = front.signature, ServiceGates.of(service)

    def convert_and_call() -> tuple[dict[str, Any], Any]:
        made = convert()
        return made, signature.call(service, given | made) if made else None

    if inspect.iscoroutinefunction(signature.func):
        made = await anyio.to_thread.run_sync(convert, limiter=gates.converters)
        output: Any = await signature.call(service, given | made) if made else None
    else:
        made, output = await anyio.to_thread.run_sync(convert_and_call, limiter=gates.threads)
    if not made:
        return
    if not signature.many:
        accepted[0].result = output
        return
    outputs = list(output)
    if len(outputs) != len(accepted):
        raise ValueError(
            f"{signature.name} returned {len(outputs)} outputs for {len(accepted)} photos."
        )
    for outcome, result in zip(accepted, outputs, strict=True):
        outcome.result = result


def _status(front: Front, result: Any) -> int | None:
    """Status of an answer that is not the method's own."""
    if isinstance(result, BentoMLException):
        return result.error_code
    if isinstance(result, Verdict) and not result.accepted:
        return front.retake_status
    return None


def _about(verdict: Verdict, parameter: str) -> Verdict:
    """A refusal that says which of several photos it is about, in the detail of its reasons."""
    reasons = [
        reason.model_copy(update={"detail": ": ".join(filter(None, (parameter, reason.detail)))})
        for reason in verdict.reasons
    ]
    return verdict.model_copy(update={"reasons": reasons})
