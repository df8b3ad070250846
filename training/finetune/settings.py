"""Choices of fine-tuning, as data. Imports nothing heavy, so that help is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from plantood.defaults import GATE_NAME
from plantood.training.common.settings import CACHE, RUNS, CostSettings, FitSettings

NOT_ACCEPTED = 3
"""Exit status if the child is not to take the place of its parent."""
MARGIN = 0.02
"""Share of a source's photos that may get worse; see `finetune.compare.is_worse`."""
REJECTED = "-rejected"
"""Added to the name of a gate model that is worse on some source: it is kept in the store, to be
looked at, but never as the latest of the name that is served."""


@dataclass(frozen=True)
class ReplaySettings:
    """What of the photos that the parent was trained on is trained on again."""

    replay: tuple[Path, ...] | None = None
    """Folders or manifests; None takes what the parent says of itself."""
    no_replay: bool = False
    """New photos only, also to compare on."""
    replay_share: float = 1.0
    """Of the old training photos of each source, 0..1. Validation and test take all."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"replay": None if self.replay is None else [*map(str, self.replay)]}


@dataclass(frozen=True)
class FinetuneOptions:
    """What is asked of one fine-tuning."""

    tag: str
    """The parent."""
    new: tuple[Path, ...]
    """Rounds, folders of negatives, labelled folders or manifests."""
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    fit: FitSettings = field(default_factory=lambda: FitSettings(loss="weighted", balance="class"))
    costs: CostSettings = field(default_factory=CostSettings)
    margin: float = MARGIN
    force: bool = False
    min_per_class: int = 20
    name: str | None = None
    runs: Path = RUNS
    cache: Path = CACHE
    gate_name: str = GATE_NAME
    quantize: Literal["none", "float16", "int8"] | None = None
    """Of the exported graph; None is as the parent."""


def held_like_parent(asked: FitSettings, parent: Mapping[str, Any]) -> FitSettings:
    """The settings of a child, whose linear head is held by its parent's penalty.

    Where sources were left out, that is the one that is best for new sources. By validation photos,
    which are of sources that both know, the weakest would be taken, and what it was good for lost.

    Args:
        asked: with a penalty of its own, they stay as they are.
        parent: its figures; a head that is not linear names no penalty.
    """
    held = parent.get("settings", {}).get("penalty")
    return asked if asked.penalty else replace(asked, penalty=held)
