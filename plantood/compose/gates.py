"""The gates in front of one service's methods: looked for when it is made, opened when it starts.

So a mistake ends the start, or `bentoml build`, and not the first photo.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any, cast

import anyio
import bentoml

from plantood.bento.ending import SENTENCES, answer_for_workers, end_the_server
from plantood.bento.errors import SetupError
from plantood.bento.gate_reference import GateReference, gate_of
from plantood.bento.packing import served_gate
from plantood.bentoml_private import APIMethod, is_startup_hook, look_at_services, service_of
from plantood.compose.doors import way_to
from plantood.compose.front import Front
from plantood.compose.gate import ComposedGate
from plantood.errors import PlantoodError, SettingsError
from plantood.http.apps.edge import EdgeService
from plantood.judging.gate import Gate
from plantood.judging.judge import Judge
from plantood.judging.rules import decode_threads, decoders
from plantood.photo.decoding import Decoders
from plantood.settings import Settings

_HOOK = "~gates"
"""BentoML runs hooks in the order of their names: this one after all that may make a gate."""


class ServiceGates:
    """What the gated methods of one service object share."""

    def __init__(self, service: Any) -> None:
        self._service = service
        bento_service = service_of(service)
        # As many sync calls at a time as BentoML allows: a model may not bear more.
        self.threads = anyio.CapacityLimiter(
            bento_service.config.get("threads", 1) if bento_service else 1
        )
        self._by_attribute: dict[str, ComposedGate] = {}
        self._by_front: dict[Front, ComposedGate] = {}
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, service: Any) -> ServiceGates:
        """Those of a service object."""
        gates: ServiceGates | None = vars(service).get("_service_gates")
        if gates is None:
            gates = service._service_gates = cls(service)
        return gates

    @functools.cached_property
    def settings(self) -> Settings:
        """Those of the environment, read once.

        Raises:
            SettingsError: One cannot be used.
        """
        return Settings.from_environment()

    @functools.cached_property
    def converters(self) -> anyio.CapacityLimiter:
        """As many accepted photos at a time are made what an async method takes."""
        return anyio.CapacityLimiter(decode_threads(self.settings))

    def decoders(self, gate: ComposedGate) -> Decoders:
        """The threads in which accepted photos are decoded: the gate's, if it is in this process.

        So all that is decoded here has the memory that the settings allow, together.
        """
        return gate.door.decoders if isinstance(gate.door, Judge) else self._own_decoders

    @functools.cached_property
    def _own_decoders(self) -> Decoders:
        return decoders(self.settings, self.settings.limits)

    async def all(self) -> list[ComposedGate]:
        """Those in front of all methods of the service.

        Raises:
            SetupError: As of :meth:`gate`.
        """
        bento_service = service_of(self._service)
        fronts = fronts_of(bento_service) if bento_service else {}
        return [await self.gate(front) for front in fronts.values()]

    async def gate(self, front: Front) -> ComposedGate:
        """The gate in front of a method, opened when it is first asked for.

        Raises:
            SetupError: There is none, or it cannot be used.
        """
        if front not in self._by_front:
            async with self._lock:
                if front not in self._by_front:
                    self._by_front[front] = await asyncio.to_thread(self._open, front)
        return self._by_front[front]

    def _open(self, front: Front) -> ComposedGate:
        owner = type(self._service)
        try:
            source = inspect.getattr_static(self._service, front.attribute)
            if isinstance(source, GateReference):
                bento_service = service_of(self._service)
                bento = bento_service.bento if bento_service else None
                model = gate_of(self.settings, served_gate(str(source.tag), bento))
                source = Gate(model, settings=self.settings)
            else:
                source = getattr(self._service, front.attribute)
        except AttributeError:
            raise _missing(owner, front) from None
        except PlantoodError as error:
            raise _unusable(owner, front, error) from error
        try:
            if front.attribute not in self._by_attribute:
                self._by_attribute[front.attribute] = ComposedGate(source, settings=self.settings)
            return ComposedGate(
                self._by_attribute[front.attribute],
                on_gate_error=front.on_gate_error,
                timeout_s=front.timeout_s,
            )
        except PlantoodError as error:
            raise _unusable(owner, front, error) from error


def fronts_of(service: bentoml.Service[Any]) -> dict[str, Front]:
    """The gates' fronts of a service, by the route of their methods."""
    return {
        api.route: api.func.front
        for api in service.apis.values()
        if hasattr(api.func, "front")  # set by @gated
    }


@functools.cache
def look_for_gates() -> None:
    """From now on, look at every service that is made, of whatever class.

    BentoML tells a decorated method nothing of its class.
    """
    answer_for_workers()
    look_at_services(_look_at)


def _look_at(service: bentoml.Service[Any]) -> None:
    """Refuse gates that cannot be; those that can be are opened when the service starts.

    Raises:
        SetupError: ``@bentoml.api`` says of a method what `@gated` cannot do; or there is no gate
            in front of it, or one of another type, and nothing in the class could change that
            before a photo comes.
    """
    fronts = fronts_of(service)
    if not fronts:
        return
    for api in service.apis.values():
        if api.route in fronts:
            _ensure_as_decorated(service.inner, api, fronts[api.route])
            _ensure_bounded(service, api)
    if not _makes_attributes(service.inner):
        for front in fronts.values():
            _ensure_gate(service.inner, front)
    setattr(service.inner, _HOOK, bentoml.on_startup(_open_gates))


async def _open_gates(service: Any) -> None:
    """Open the gates of a service object; end the start if there is none, or it cannot be used."""
    try:
        await ServiceGates.of(service).all()
    except SENTENCES as error:
        end_the_server(error)
        raise


def _ensure_as_decorated(owner: type, api: APIMethod[..., Any], front: Front) -> None:
    name, seen = f"{owner.__name__}.{api.name}", inspect.signature(api.func)
    for option, given, own in (
        ("input_spec", api.input_spec, seen.parameters["request"].annotation),
        ("output_spec", api.output_spec, seen.return_annotation),
    ):
        if given is not own:
            raise SetupError(
                f"@bentoml.api({option}=...) on {name} leaves no place for photos and verdicts; "
                "leave it out, and annotate the method below @gated."
            )
    if api.batchable and not (front.signature.many and len(front.signature.fields) == 1):
        raise SetupError(
            f"@bentoml.api(batchable=True) on {name} needs a method that takes a list of photos, "
            "and nothing else of the request; let it take list[...], or leave batchable out."
        )


def _ensure_bounded(service: bentoml.Service[Any], api: APIMethod[..., Any]) -> None:
    if api.is_task and not isinstance(service, EdgeService):
        owner = service.inner.__name__
        raise SetupError(
            f"@bentoml.task on {owner}.{api.name} would keep on disk whatever is sent to it, "
            f"however large; write @bentoml.service(service_class=GatedService) above {owner}."
        )


def _makes_attributes(owner: type) -> bool:
    """Whether objects of a class may have what the class itself has not."""
    return (
        owner.__init__ is not object.__init__  # type: ignore[misc]  # only compared
        or cast(Any, owner).__new__ is not object.__new__
        or any(is_startup_hook(getattr(owner, name)) for name in dir(owner))
    )


def _ensure_gate(owner: type, front: Front) -> None:
    try:
        source = inspect.getattr_static(owner, front.attribute)
    except AttributeError:
        raise _missing(owner, front) from None
    if isinstance(source, (GateReference, ComposedGate)) or hasattr(type(source), "__get__"):
        return  # what stands behind bentoml.depends, or a property, is known at the start
    try:
        way_to(source)
    except SettingsError as error:
        raise _unusable(owner, front, error) from None


def _missing(owner: type, front: Front) -> SetupError:
    return SetupError(
        f"There is no {owner.__name__}.{front.attribute}, in which @gated finds the gate of "
        f"{front.signature.name}; write `{front.attribute} = bentoml.depends(PlantScorer)` in the "
        'class, or name another attribute: @gated(gate="...").'
    )


def _unusable(owner: type, front: Front, error: PlantoodError) -> SetupError:
    return SetupError(f"{owner.__name__}.{front.attribute}: {error}")
