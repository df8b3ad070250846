"""Choices of fine-tuning, as data. Imports nothing heavy, so that help is instant."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from plantood.training.common.settings import CostSettings, FitSettings

MARGIN = 0.02
"""Share of a source's photos that may get worse; see `finetune.compare.is_worse`."""
STANDARD_ERRORS = 1.0
"""Of the validation cost, within which a threshold counts as good as the cheapest one: then the one
that the loss was weighted for is taken, not the one that two photos happen to favour."""
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
    costs: CostSettings = field(
        default_factory=lambda: CostSettings(standard_errors=STANDARD_ERRORS)
    )
    margin: float = MARGIN
    force: bool = False
    min_per_class: int = 20
    name: str | None = None
    runs: Path = Path("runs")
    cache: Path = Path("runs/cache")
    gate_name: str = "plantood-gate"
    quantize: Literal["none", "float16", "int8"] | None = None
    """Of the exported graph; None is as the parent."""


def child_costs(fit: FitSettings, costs: CostSettings) -> CostSettings:
    """How a child's threshold is chosen: near the one that its loss was weighted for."""
    from plantood.training.judging.threshold import bayes_threshold

    towards = bayes_threshold(costs.false_accept_cost, costs.false_retake_cost, *fit.loss_weights)
    return replace(costs, towards=towards, standard_errors=STANDARD_ERRORS)
