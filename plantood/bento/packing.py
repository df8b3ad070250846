"""What a bento records of the gate that it packs, and which gate a served bento then means.

In a project of your own, below the service that ``bentoml build`` packs::

    record_gate(MaizeDisease)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from bentoml import Bento, Service

from plantood.bento.gate_reference import GateReference
from plantood.bentoml_private import BentoEnvSchema
from plantood.defaults import DEFAULT_GATE, MADE_BY, SCORER_SERVICE
from plantood.errors import GateModelNotFound
from plantood.model.store import SHA256_VARIABLE
from plantood.settings import variable

RECORD = "bento.yaml"
"""What BentoML says of a bento, at its top."""
GATE_LABEL = "plantood.gate"
SHA256_LABEL = "plantood.gate.sha256"


def record_gate(service: Service[Any]) -> None:
    """Let ``bentoml build`` write tag and SHA-256 of the service's gate model into the bento.

    Into its labels (`GATE_LABEL`, `SHA256_LABEL`), and into its environment variables
    ``PLANTOOD_GATE`` and ``PLANTOOD_GATE_SHA256``: the only values that a Dockerfile template is
    given, which makes labels of the image of them. The digest is that of ``gate.json``, which
    holds those of all the other files.

    In the bento that was built, the recorded digest is the pin: no other gate is loaded, unless
    ``PLANTOOD_GATE_SHA256`` is set to that of another one, or to nothing.

    Args:
        service: The bento's main service. Its gate is that of the services it depends on; a gate
            that runs elsewhere is not packed, and nothing is recorded.

    Raises:
        GateModelNotFound: The model store has no such gate.
    """
    if pin_packed_gate(Path(service.working_dir)):  # the build has recorded it
        return
    models = (model for part in service.all_services().values() for model in part.models)
    reference = next((model for model in models if isinstance(model, GateReference)), None)
    if reference is None:
        return
    gate = reference.resolve()
    tag, digest = str(gate.tag), str(gate.info.metadata["manifest_sha256"])
    service.labels |= {GATE_LABEL: tag, SHA256_LABEL: digest}
    service.envs.append(BentoEnvSchema(variable("gate"), tag))
    service.envs.append(BentoEnvSchema(SHA256_VARIABLE, digest))


def pin_packed_gate(folder: Path) -> bool:
    """Let no other gate judge than the one that a bento packs, unless another one, or any, is set.

    Where settings are read at import, this comes first: BentoML leaves a bento's own variables to
    Docker.

    Args:
        folder: Working folder of the process; BentoML imports a bento's code from its ``src``.

    Returns:
        Whether it is that of a bento.
    """
    record = folder.parent / RECORD
    if not record.is_file():
        return False
    labels = yaml.safe_load(record.read_bytes()).get("labels") or {}
    if digest := labels.get(SHA256_LABEL):
        os.environ.setdefault(SHA256_VARIABLE, digest)
    return True


def served_gate(setting: str, bento: Bento | None) -> str:
    """The tag to serve: what is set, or, in a bento and if nothing is, the gate that it packs.

    Without this, a bento on a machine with newer gates would serve one of those, since BentoML
    looks up ``latest`` in the machine's model store.

    Args:
        setting: The value of ``PLANTOOD_GATE``, or its default.
        bento: The bento that is being served; None outside of one.
    """
    if bento is None or setting != DEFAULT_GATE:
        return setting
    # the scorer's only model is the gate's
    parts = sorted(bento.info.services, key=lambda part: part.name != SCORER_SERVICE)
    gates = (model.tag for part in parts for model in part.models if model.module == MADE_BY)
    return str(next(gates, setting))


def ensure_packed(folder: Path) -> None:
    """Refuse whatever gate the machine has, where a bento is served that packs none.

    Args:
        folder: Working folder of the process; BentoML serves a bento from its ``src``.

    Raises:
        GateModelNotFound: No gate model is named, and the bento has none.
    """
    record = folder.parent / RECORD
    if not record.is_file():
        return
    services = yaml.safe_load(record.read_bytes()).get("services") or []
    models = [model for part in services for model in part.get("models") or []]
    if not any(model.get("module") == MADE_BY for model in models):
        raise GateModelNotFound(
            "This bento packs no gate model, so Gate.load() would judge by whatever this machine "
            "has; write `gate = gate_model()` in the service's class, which bentoml build packs, "
            f"or name one: {variable('gate')}."
        )
