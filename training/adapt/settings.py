"""Choices of an adaptation, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from plantood.training.common.settings import CACHE, RUNS, CostSettings
from plantood.training.finetune.settings import MARGIN


@dataclass(frozen=True)
class AdaptOptions:
    """What is asked of one adaptation."""

    tag: str
    """The parent."""
    photos: tuple[Path, ...]
    """Folders with ``plant/`` and ``other/``, manifests, or reviewed rounds; the label of a later
    one counts."""
    costs: CostSettings = field(default_factory=CostSettings)
    margin: float = MARGIN
    """Share of a source's pictures in the memory that may get worse, beside the noise."""
    force: bool = False
    gate_name: str | None = None
    """In the model store; None is as the parent."""
    runs: Path = RUNS
    cache: Path = CACHE
