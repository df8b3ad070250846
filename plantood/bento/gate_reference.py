"""The gate model as a BentoML model reference: what ``bentoml build`` packs and a service loads."""

from __future__ import annotations

from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException
from bentoml.models import BentoModel

from plantood.bento.errors import GateModelNotStored, SetupError
from plantood.defaults import DEFAULT_GATE, GATE_NAME
from plantood.errors import GateModelError, PlantoodError
from plantood.model.entry import GateModel
from plantood.model.starter import install_starter
from plantood.model.store import (
    STARTER_VERSION,
    StoreUnusable,
    load_gate,
    newest_gate,
    not_stored,
    usable_store,
)
from plantood.settings import Settings
from plantood.tags import LATEST, tag_of

STARTER = f"{GATE_NAME}:{STARTER_VERSION}"


class GateReference(BentoModel):
    """A tag in the Bento model store that is looked up when it is needed, not at import.

    If it is the default tag and the store holds no gate, or the starter gate is named and not
    there, it is put there first, so that serving or building on a fresh machine works.

    Attributes:
        pin: SHA-256 of the ``gate.json`` of the only gate model that may be packed; None: any may.
    """

    pin: str | None

    def __init__(self, tag: str | bentoml.Tag, pin: str | None = None) -> None:
        """Look nothing up yet.

        Raises:
            GateModelError: ``tag`` is none.
        """
        super().__init__(tag_of(tag))
        object.__setattr__(self, "pin", pin)  # BentoML's class is frozen

    @property
    def stored(self) -> bentoml.Model | None:
        """The model in the store, or None."""
        if str(self.tag) in (DEFAULT_GATE, STARTER):
            install_starter(self.tag.name, always=str(self.tag) == STARTER)
        if self.tag.version == LATEST and (newest := newest_gate(self.tag.name)):
            return bentoml.models.get(newest)
        return super().stored

    @usable_store()
    def resolve(self, *args: Any, **kwargs: Any) -> bentoml.Model:
        """The model in the store.

        Raises:
            GateModelNotFound: There is none with this tag, here or in BentoCloud.
            GateModelError: The store cannot be used.
        """
        try:
            return super().resolve(*args, **kwargs)
        except StoreUnusable:
            raise
        except BentoMLException as error:
            raise self._not_found() from error

    @usable_store()
    def to_info(self, alias: str | None = None) -> Any:
        """What a bento records of the model, once it has been verified.

        Raises:
            GateModelNotFound: There is none with this tag, here or in BentoCloud.
            SetupError: It is damaged, or another one is pinned.
        """
        try:
            info = super().to_info(alias)
        except StoreUnusable:
            raise
        except BentoMLException as error:
            raise self._not_found() from error
        if self.stored is not None:
            try:  # what is packed damaged would be found out by those who unpack it
                load_gate(info.tag, pin=self.pin)
            except GateModelError as error:
                raise SetupError(str(error)) from error
        return info

    def _not_found(self) -> GateModelNotStored:
        return GateModelNotStored(not_stored(self.tag))


def gate_of(settings: Settings, tag: str | None = None) -> GateModel:
    """The gate model that is to judge, read and verified; the starter is installed if it is meant.

    Args:
        settings: Which name the gate and pin it.
        tag: Of the gate model, if not the settings' own; it has to be the pinned one, too.

    Raises:
        GateModelNotFound: The store has no such model.
        GateModelError: It is damaged, another one is pinned, ``tag`` is none, or the store cannot
            be used.
    """
    stored = GateReference(settings.gate if tag is None else tag).resolve()
    return load_gate(stored.tag, pin=settings.gate_sha256)


def gate_model(tag: str | None = None) -> GateReference:
    """The gate in a service's own process, without another one; ``bentoml build`` packs it.

    ::

        @bentoml.service(service_class=GatedService)
        class Detector:
            gate = gate_model()

    Args:
        tag: Of the gate model; by default ``PLANTOOD_GATE``. In a bento it is the one that was
            packed, unless another one is named.

    Raises:
        SetupError: ``tag`` is none, or a ``PLANTOOD_*`` variable cannot be used.
    """
    try:
        settings = Settings.from_environment()
        return GateReference(settings.gate if tag is None else tag, settings.gate_sha256)
    except PlantoodError as error:
        raise SetupError(str(error)) from None
