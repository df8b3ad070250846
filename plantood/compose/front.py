"""The gate in front of one method: judge, let the accepted photos through, put all together."""

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
from bentoml.exceptions import BentoMLConfigException, BentoMLException
from starlette.datastructures import UploadFile

from plantood.errors import PlantoodError, UnreadablePhoto
from plantood.failures import GateUnavailable
from plantood.http_io import PhotoInput
from plantood.judge import Judged
from plantood.refusals import RequestRefused
from plantood.runtime import usable_cpus
from plantood.verdict import ReasonCode, Verdict

from .gate import ComposedGate, OnGateError
from .photos import Form, as_wanted
from .request import Sent
from .signature import Signature


@dataclass
class _Outcome:
    """What becomes of one photo: ``result`` is an output, a verdict, or the error to answer."""

    photo: PhotoInput | None = None
    language: str | None = None
    judged: Judged | None = None
    result: Any = None

    @property
    def accepted(self) -> bool:
        return self.judged is not None and self.result is None


@dataclass(frozen=True, eq=False)
class Front:
    """The gate in front of one method of a service class.

    Attributes:
        signature: What the method takes.
        attribute: Name of the service's attribute that holds the gate.
        on_gate_error: As `ComposedGate` takes it.
        timeout_s: As `ComposedGate` takes it.
        retake_status: HTTP status of the answer to a single photo that is refused.
    """

    signature: Signature
    attribute: str
    on_gate_error: OnGateError | None
    timeout_s: float | None
    retake_status: HTTPStatus

    async def call(self, service: Any, given: dict[str, Any]) -> Any:
        """Judge the photos of a call, run the method for those accepted, and put them together.

        Raises:
            GateUnavailable: The gate failed, and the call came from this process, not by HTTP.
        """
        signature = self.signature
        photos = given[signature.photo] if signature.many else [given[signature.photo]]
        language = given[signature.language] if signature.language else None
        state = _State.of(service)
        async with contextlib.AsyncExitStack() as cleanup:
            for photo in photos:
                if isinstance(photo, Sent) and isinstance(photo.photo, UploadFile):
                    cleanup.push_async_callback(photo.photo.close)
            gate = await state.gate(self)
            outcomes = await asyncio.gather(
                *(self._judge(gate, photo, language) for photo in photos)
            )
            if accepted := [outcome for outcome in outcomes if outcome.accepted]:
                convert = functools.partial(self._convert, gate, accepted, cleanup)
                await self._run(state, service, given, accepted, convert)
        results = [outcome.result for outcome in outcomes]
        if signature.many:
            return results
        if signature.context and (status := self._status(results[0])):
            given[signature.context].response.status_code = status  # BentoML takes it from there
        return results[0]

    async def _judge(self, gate: ComposedGate, photo: Any, language: str | None) -> _Outcome:
        """The outcome of a refused photo; of an accepted one only that it is accepted."""
        if isinstance(photo, RequestRefused):
            return _Outcome(result=photo)
        sent = photo if isinstance(photo, Sent) else Sent(photo)
        language = language or sent.language
        try:
            judged = await gate.judge(sent.photo, language, keep=True)
        except GateUnavailable as failure:
            if sent is not photo:
                raise
            return _Outcome(result=failure)
        result = None if judged.verdict.accepted else judged.verdict
        return _Outcome(sent.photo, language, judged, result)

    def _convert(
        self, gate: ComposedGate, accepted: list[_Outcome], cleanup: contextlib.AsyncExitStack
    ) -> dict[str, Any]:
        """The arguments that the accepted photos become; empty if none of them can be decoded.

        Blocks. A photo that cannot be decoded is accepted only if no gate has seen it: then it is
        refused here, and taken out of the list.
        """
        signature, photos = self.signature, []
        folder = None
        if signature.form is Form.PATH:
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="plantood-")))
        for outcome in list(accepted):
            seen = outcome.judged.image
            try:
                photos.append(as_wanted(outcome.photo, signature.form, seen, gate.limits, folder))
            except UnreadablePhoto as error:
                outcome.result = gate.refusal(ReasonCode.UNREADABLE, outcome.language, str(error))
                accepted.remove(outcome)
        verdicts = [outcome.judged.verdict for outcome in accepted]
        if not accepted:
            return {}
        names = {signature.photo: photos, signature.verdict: verdicts}
        return {name: x if signature.many else x[0] for name, x in names.items() if name}

    async def _run(
        self,
        state: _State,
        service: Any,
        given: dict[str, Any],
        accepted: list[_Outcome],
        convert: Callable[[], dict[str, Any]],
    ) -> None:
        """Call the method with the accepted photos, and take over what it returns.

        Decoded photos are large. So they are made where a sync method runs, which bounds how many
        of them are in memory.

        Raises:
            ValueError: It returned another number of outputs than it got photos.
        """
        signature = self.signature

        def call() -> Any:
            return signature.call(service, given | made) if (made := convert()) else []

        if inspect.iscoroutinefunction(signature.func):
            made = await anyio.to_thread.run_sync(convert, limiter=state.converters)
            output = await signature.call(service, given | made) if made else []
        else:
            output = await anyio.to_thread.run_sync(call, limiter=state.threads)
        outputs = list(output) if signature.many or not accepted else [output]
        if len(outputs) != len(accepted):
            raise ValueError(
                f"{signature.name} returned {len(outputs)} outputs for {len(accepted)} photos."
            )
        for outcome, result in zip(accepted, outputs, strict=True):
            outcome.result = result

    def _status(self, result: Any) -> int | None:
        """Status of an answer that is not the method's own."""
        if isinstance(result, BentoMLException):
            return result.error_code
        if isinstance(result, Verdict) and not result.accepted:
            return self.retake_status
        return None


async def gate_of(service: Any, front: Front) -> ComposedGate:
    """The gate in front of a method of a service object.

    Raises:
        BentoMLConfigException: There is none, or it cannot be used.
    """
    return await _State.of(service).gate(front)


class _State:
    """What the gated methods of one service object share."""

    def __init__(self, service: Any) -> None:
        self._service = service
        bento_service = getattr(service, "bento_service", None)  # None: in a unit test
        # As many sync calls at a time as BentoML allows: a model may not bear more.
        self.threads = anyio.CapacityLimiter(
            bento_service.config.get("threads", 1) if bento_service else 1
        )
        self.converters = anyio.CapacityLimiter(usable_cpus())
        self._by_attribute: dict[str, ComposedGate] = {}
        self._by_front: dict[Front, ComposedGate] = {}
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, service: Any) -> _State:
        """That of a service object."""
        if "_gated_state" not in vars(service):
            service._gated_state = cls(service)
        return service._gated_state

    async def gate(self, front: Front) -> ComposedGate:
        """The gate in front of a method, opened with its first photo.

        Raises:
            BentoMLConfigException: There is none, or it cannot be used.
        """
        if front not in self._by_front:
            async with self._lock:
                if front not in self._by_front:
                    self._by_front[front] = await asyncio.to_thread(self._open, front)
        return self._by_front[front]

    def _open(self, front: Front) -> ComposedGate:
        where = f"{type(self._service).__name__}.{front.attribute}"
        try:
            source = getattr(self._service, front.attribute)
        except AttributeError:
            raise BentoMLConfigException(
                f"There is no {where}, in which @gated finds the gate of {front.signature.name}; "
                f"write `{front.attribute} = bentoml.depends(PlantScorer)` in the class, or name "
                'another attribute: @gated(gate="...").'
            ) from None
        try:
            if front.attribute not in self._by_attribute:
                self._by_attribute[front.attribute] = ComposedGate(source)
            return ComposedGate(
                self._by_attribute[front.attribute],
                on_gate_error=front.on_gate_error,
                timeout_s=front.timeout_s,
            )
        except PlantoodError as error:
            raise BentoMLConfigException(f"{where}: {error}") from error
