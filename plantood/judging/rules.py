"""A gate without its network: what turns scores into verdicts, and whether it can be served."""

from __future__ import annotations

from dataclasses import dataclass

from plantood.bento.gate_reference import gate_of
from plantood.judging import prometheus
from plantood.judging.capture.destination import ensure_usable
from plantood.judging.messages import Messages
from plantood.model.entry import GateModel
from plantood.model.policy import Policy, with_overrides
from plantood.photo.images import Limits
from plantood.settings import Settings, naming


@dataclass(frozen=True)
class Rules:
    """A gate without its network: what turns scores into verdicts.

    Attributes:
        tag: Of the gate model; the scorer must have the same.
        input_size: Side S of the network's square input, pixels.
        policy: Thresholds in force.
        messages: Sentences for the farmer.
        language: Of the messages, if none is asked for that is known.
        limits: Bounds on bytes and pixels of a photo.
    """

    tag: str
    input_size: int
    policy: Policy
    messages: Messages
    language: str
    limits: Limits

    @classmethod
    def of(cls, model: GateModel, settings: Settings) -> Rules:
        """Those of a stored gate model under an operator's settings.

        Raises:
            SettingsError: The settings' policy or messages cannot be used.
        """
        with naming("policy"):
            policy = with_overrides(model.manifest.policy, settings.policy)
        with naming("messages_file"):
            messages = Messages.load(settings.messages_file)
        with naming("language"):
            messages.ensure_known(settings.language)
        return cls(
            tag=model.tag,
            input_size=model.manifest.input_size,
            policy=policy,
            messages=messages,
            language=settings.language,
            limits=settings.limits,
        )


def servable_gate(settings: Settings, tag: str | None = None) -> GateModel:
    """The gate model that is to be served, once nothing that is known here can stop its service.

    A worker that cannot start would be started again and again.

    Args:
        settings: Under which it is served.
        tag: Of the gate model, if not the settings' own. The starter is installed if it is meant.

    Raises:
        GateModelError: The store has no such gate, it is damaged, or another one is pinned.
        SettingsError: A setting cannot be used, with this gate or on this machine.
    """
    gate = gate_of(settings, tag)
    Rules.of(gate, settings)
    ensure_usable(settings)
    if settings.metrics_port:
        prometheus.ensure_free(settings.metrics_port)
    return gate
