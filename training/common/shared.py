"""The folder of photos and weights that lies outside the repository, found in this one place."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "PLANTOOD_SHARED"
"""Environment variable that names the folder; unset, it is ``../shared`` beside the checkout."""


def shared_dir() -> Path | None:
    """The shared folder, or None if there is none on this machine."""
    beside_checkout = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get(VARIABLE) or beside_checkout)
    return folder if folder.is_dir() else None
