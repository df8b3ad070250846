"""What the errors of a child cost, beside what its parent was made for.

A child is made for the costs that are asked for, the usual ones if none are. Those of its parent
are not taken over, so it is said if they were others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plantood.training.common.settings import CostSettings


def costs_in_words(costs: CostSettings) -> str:
    """What either error costs, in words."""
    return f"false accept {costs.false_accept_cost:g}, false retake {costs.false_retake_cost:g}"


def costs_notes(parent: str, figures: Mapping[str, Any], costs: CostSettings) -> list[str]:
    """That a child is made for other costs than its parent was; one sentence if it is.

    Args:
        parent: its tag.
        figures: its ``metrics.json``; if it tells no costs, nothing is said.
        costs: of the child.
    """
    chosen = figures.get("chosen_threshold", {})
    accept, retake = chosen.get("false_accept_cost"), chosen.get("false_retake_cost")
    if accept is None or retake is None or costs.in_proportion(accept, retake):
        return []
    had = costs_in_words(CostSettings(accept, retake))
    return [
        f"The threshold of {parent} was chosen for other costs ({had}) than the child's "
        f"({costs_in_words(costs)}); to keep those: --false-accept-cost {accept:g} "
        f"--false-retake-cost {retake:g}"
    ]
