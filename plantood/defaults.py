"""What holds where nobody says otherwise, and what things are called.

Imports nothing: commands name it in their help.
"""

from __future__ import annotations

GATE_NAME = "plantood-gate"
"""Of gate models in the store."""
DEFAULT_GATE = f"{GATE_NAME}:latest"
DEFAULT_LANGUAGE = "en"
"""Of messages; the one language that has a sentence for every reason."""

BATCH = 16
"""Photos in one forward pass of what is no service. Beyond it the time per photo no longer falls,
and the memory, which the runtime keeps, only grows."""
GATE_SERVICE, SCORER_SERVICE = "PlantGate", "PlantScorer"
"""The services that ship."""
MADE_BY = "plantood"
"""What made a gate model, by BentoML's record of it."""


def with_extra(extra: str) -> str:
    """What to do where the packages of an extra are missing: plantood is on no package index."""
    return (
        f"install plantood anew from its checkout or wheel, with [{extra}] behind the path, as in "
        f'pip install "./plantood[{extra}]"'
    )
