"""By what a gate is judged before and after it learned: costs, share of others, threshold.

Both in the same way, or a choice would look like something learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plantood.model.entry import GateModel
from plantood.model.parts.calibration import logit, sigmoid
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory
from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.threshold import bayes_threshold
from plantood.training.judging.outcomes import share_shift

CHOSEN = "chosen_threshold"
"""Of ``metrics.json``: how the threshold of a gate was chosen, whichever command made it."""
SHARE = "share_of_others"
"""Likewise: what figures are of, if a user said so."""


@dataclass(frozen=True)
class Terms:
    """What is asked of both, and what the parent was made for."""

    costs: CostSettings
    """Of errors, with a share of others."""
    served: float
    """Threshold that the parent serves with."""
    towards: float
    """Threshold to prefer where the photos do not tell."""
    had: float
    """Share of others that the parent's P(plant) is calibrated for, inside (0, 1)."""
    origin: str
    """Where the share of others comes from, in words."""
    given: bool = False
    """Whether a user gave the share, now or of the parent: then figures of the child are of it."""
    promise: str = ""
    """That the parent made of false accepts, in words; empty if it made none."""

    @classmethod
    def of(cls, parent: GateModel, memory: Memory, costs: CostSettings) -> Terms:
        """Those of a gate and the costs that were asked for."""
        served = parent.manifest.policy.plant_threshold
        return cls.from_figures(parent.metrics, served, memory, costs)

    @classmethod
    def from_figures(
        cls, figures: Mapping[str, Any], served: float, memory: Memory, costs: CostSettings
    ) -> Terms:
        """As :meth:`of`, of what a gate says of itself.

        Its threshold is preferred if it was chosen for the same costs, or none that it tells; else
        that which is right for calibrated probabilities. P(plant) is of the share of others that it
        tells, else of that in its memory.

        Args:
            figures: its ``metrics.json``.
            served: threshold that it serves with.
            memory: of the gate; of both classes, unless the figures tell a share.
            costs: asked for.
        """
        chosen: Mapping[str, Any] = figures.get(CHOSEN, {})
        usual = CostSettings()
        same = costs.in_proportion(
            chosen.get("false_accept_cost", usual.false_accept_cost),
            chosen.get("false_retake_cost", usual.false_retake_cost),
        )
        bayes = bayes_threshold(costs.false_accept_cost, costs.false_retake_cost)
        had, origin = chosen.get(SHARE, 0.0), "as its parent was calibrated for"
        if not 0 < had < 1:
            had, origin = float(memory.weight[~memory.plant].sum()), "as in the memory"
        asked = costs.share_of_others
        if asked is not None:
            origin = f"as asked for; its parent was calibrated for {had:.1%}"
        return cls(
            costs=replace(costs, share_of_others=had if asked is None else asked),
            served=served,
            towards=served if same else bayes,
            had=had,
            origin=origin,
            given=asked is not None or bool(figures.get(SHARE)),
            promise=_promise(figures.get("guarantee")),
        )

    @property
    def share_of_others(self) -> float:
        """Of the photos to come, inside (0, 1)."""
        assert self.costs.share_of_others is not None
        return self.costs.share_of_others

    @property
    def shift(self) -> float:
        """What the share of others that is asked for adds to a logit of P(plant): its log-odds."""
        return share_shift(self.share_of_others, self.had)

    @property
    def served_at(self) -> float:
        """The threshold that the parent serves with, of P(plant) that is moved as both are."""
        return float(sigmoid(logit(self.served) + self.shift))

    def moved(self, correction: Correction) -> Correction:
        """A correction for the share of others that is asked for."""
        return replace(correction, bias=np.array(correction.bias + self.shift, np.float32))


def _promise(guarantee: Mapping[str, Any] | None) -> str:
    """What a gate promised: :mod:`plantood.training.judging.decision.guarantee`."""
    if guarantee is None or guarantee["threshold"] is None:
        return ""
    return (
        f"at most {100 * guarantee['max_false_accept']:g} % of others accepted, "
        f"{100 * guarantee['confidence']:g} % sure"
    )
