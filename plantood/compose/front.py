"""The gate in front of one method: judge, let the accepted photos through, put all together."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import tempfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
from bentoml.exceptions import BentoMLConfigException, BentoMLException
from starlette.datastructures import UploadFile

from plantood.errors import PlantoodError, UnreadablePhoto
from plantood.failures import GateUnavailable
from plantood.http_io import RequestRefused
from plantood.judge import Judged
from plantood.verdict import ReasonCode, Verdict

from .gate import ComposedGate, OnGateError
from .photos import as_wanted
from .request import Sent
from .signature import Signature


@dataclass
class _Outcome:
    """What becomes of one photo: ``result`` is an output, a verdict, or the error to answer."""

    result: Any = None
    judged: Judged | None = None
    wanted: Any = None

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
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="plantood-")))
            gate = await state.gate(self)
            outcomes = await asyncio.gather(
                *(self._judge(gate, photo, language, folder) for photo in photos)
            )
            if accepted := [outcome for outcome in outcomes if outcome.accepted]:
                await self._run(state, service, given, accepted)
        results = [outcome.result for outcome in outcomes]
        if signature.many:
            return results
        if signature.context and (status := self._status(results[0])):
            given[signature.context].response.status_code = status  # BentoML takes it from there
        return results[0]

    async def _judge(
        self, gate: ComposedGate, photo: Any, language: str | None, folder: Path
    ) -> _Outcome:
        """The outcome of a refused photo, or of an accepted one the photo as it is wanted."""
        if isinstance(photo, RequestRefused):
            return _Outcome(photo)
        sent = photo if isinstance(photo, Sent) else Sent(photo)
        language = language or sent.language
        try:
            judged = await gate.judge(sent.photo, language, keep=True)
        except GateUnavailable as failure:
            if sent is not photo:
                raise
            return _Outcome(failure)
        if not judged.verdict.accepted:
            return _Outcome(judged.verdict)
        try:
            wanted = await asyncio.to_thread(
                as_wanted, sent.photo, self.signature.form, judged.image, gate.limits, folder
            )
        except UnreadablePhoto as error:  # if no gate has seen it
            return _Outcome(gate.refusal(ReasonCode.UNREADABLE, language, str(error)))
        return _Outcome(judged=judged, wanted=wanted)

    async def _run(
        self, state: _State, service: Any, given: dict[str, Any], accepted: list[_Outcome]
    ) -> None:
        """Call the method with the accepted photos, and take over what it returns.

        Raises:
            ValueError: It returned another number of outputs than it got photos.
        """
        signature = self.signature
        photos = [outcome.wanted for outcome in accepted]
        verdicts = [outcome.judged.verdict for outcome in accepted]
        values = given | {signature.photo: photos if signature.many else photos[0]}
        if signature.verdict:
            values[signature.verdict] = verdicts if signature.many else verdicts[0]
        args, kwargs = signature.bound(service, values)
        if inspect.iscoroutinefunction(signature.func):
            output = await signature.func(*args, **kwargs)
        else:
            call = functools.partial(signature.func, *args, **kwargs)
            output = await anyio.to_thread.run_sync(call, limiter=state.threads)
        outputs = list(output) if signature.many else [output]
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


class _State:
    """What the gated methods of one service object share."""

    def __init__(self, service: Any) -> None:
        self._service = service
        bento_service = getattr(service, "bento_service", None)  # None: in a unit test
        # As many sync calls at a time as BentoML allows: a model may not bear more.
        self.threads = anyio.CapacityLimiter(
            bento_service.config.get("threads", 1) if bento_service else 1
        )
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
