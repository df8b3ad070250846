"""A gate without its network: what turns scores into verdicts, and whether it can be served."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantood.bento.gate_reference import gate_of
from plantood.judging import prometheus
from plantood.judging.capture.destination import ensure_usable
from plantood.judging.messages import Messages
from plantood.model.entry import GateModel
from plantood.model.parts.policy import Policy, with_overrides
from plantood.model.runtime import usable_cpus
from plantood.photo.decoding import HEAVY_SHARE, Decoders
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
    def of(
        cls,
        model: GateModel,
        settings: Settings,
        *,
        policy: Mapping[str, Any] | None = None,
        messages: Messages | str | Path | None = None,
        language: str | None = None,
        limits: Limits | None = None,
    ) -> Rules:
        """Those of a stored gate model under an operator's settings, and what a program names.

        Args:
            model: The gate model.
            settings: In force where nothing else is named.
            policy: Thresholds that replace, by name, those of the settings.
            messages: Messages, or the path of a file of them.
            language: Of the messages, if none is asked for that is known.
            limits: Bounds on bytes, pixels and memory of a photo.

        Raises:
            SettingsError: Policy, messages or language cannot be used.
        """
        with naming("policy"):
            in_force = with_overrides(model.manifest.policy, settings.policy)
        if messages is None:
            with naming("messages_file"):
                messages = Messages.load(settings.messages_file)
        elif not isinstance(messages, Messages):
            messages = Messages.load(messages)
        with naming("language"):
            messages.ensure_known(settings.language)
        if language is not None:
            messages.ensure_known(language)
        return cls(
            tag=model.tag,
            input_size=model.manifest.input_size,
            policy=with_overrides(in_force, policy),
            messages=messages,
            language=settings.language if language is None else language,
            limits=limits or settings.limits,
        )


def decode_threads(settings: Settings) -> int:
    """How many photos a process decodes at a time."""
    return settings.decode_threads or usable_cpus()


def decoders(settings: Settings, limits: Limits) -> Decoders:
    """The threads in which a process decodes photos, and the memory that these may take.

    Args:
        settings: How many, and how much.
        limits: Of one photo. If a program allows one more than the settings do, that one has room.
    """
    memory = max(settings.decode_memory_bytes, math.ceil(limits.max_memory / HEAVY_SHARE))
    return Decoders(decode_threads(settings), memory)


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
