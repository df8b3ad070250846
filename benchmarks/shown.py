"""What stands above a table."""

from __future__ import annotations

import sys


def typed(module: str) -> str:
    """The command that runs this benchmark with the options it was given, as Markdown shows it."""
    return f"`{' '.join(['python -m', module, *sys.argv[1:]])}`"
