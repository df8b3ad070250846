"""What holds where nobody says otherwise. Imports nothing: commands name it in their help."""

from __future__ import annotations

GATE_NAME = "plantood-gate"
"""Of gate models in the store."""
DEFAULT_GATE = f"{GATE_NAME}:latest"
DEFAULT_LANGUAGE = "en"
"""Of messages; the one language that has a sentence for every reason."""


def with_extra(extra: str) -> str:
    """What to do where the packages of an extra are missing: plantood is on no package index."""
    return (
        f"install plantood anew from its checkout or wheel, with [{extra}] behind the path, as in "
        f'pip install "./plantood[{extra}]"'
    )
