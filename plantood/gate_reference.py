"""The gate model as a BentoML model reference: what ``bentoml build`` packs and a service loads."""

from __future__ import annotations

from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.models import BentoModel

from .errors import GateModelError
from .model.store import list_gates, load_gate
from .settings import DEFAULT_GATE, variable
from .starter import install_starter


class GateReference(BentoModel):
    """A tag in the Bento model store that is looked up when it is needed, not at import.

    If it is the default tag and the store holds no gate, the starter gate is put there first, so
    that serving or building on a fresh machine works.
    """

    @property
    def stored(self) -> bentoml.Model | None:
        """The model in the store, or None."""
        stored = super().stored
        if stored is None and str(self.tag) == DEFAULT_GATE:
            install_starter(self.tag.name)
            stored = super().stored
        return stored

    def resolve(self, *args: Any, **kwargs: Any) -> bentoml.Model:
        """The model in the store.

        Raises:
            NotFound: There is none with this tag, here or in BentoCloud.
        """
        try:
            return super().resolve(*args, **kwargs)
        except BentoMLException as error:
            raise self._not_found() from error

    def to_info(self, alias: str | None = None) -> Any:
        """What a bento records of the model, once it has been verified.

        Raises:
            NotFound: There is none with this tag, here or in BentoCloud.
            BentoMLException: It is damaged, or another one is pinned.
        """
        try:
            info = super().to_info(alias)
        except BentoMLException as error:
            raise self._not_found() from error
        if self.stored is not None:
            try:  # what is packed damaged would be found out by those who unpack it
                load_gate(info.tag)
            except GateModelError as error:
                raise BentoMLException(str(error)) from error
        return info

    def _not_found(self) -> NotFound:
        known = ", ".join(gate.tag for gate in list_gates()) or "none"
        return NotFound(
            f"The Bento model store has no gate model {self.tag} (gates there: {known}). Name "
            f"another in {variable('gate')}, import one (bentoml models import FILE), train one, "
            f"or unset {variable('gate')}: then the starter gate is installed."
        )
