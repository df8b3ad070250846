"""What the commands share: a store that is there, and numbers as they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from plantood.errors import PlantoodError

_DIGITS = 4


@contextmanager
def usable_store() -> Iterator[None]:
    """Say in one sentence what would otherwise be a stack trace out of BentoML.

    Raises:
        PlantoodError: The Bento model store cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error
        raise PlantoodError(
            f"The Bento model store cannot be used ({why}); set BENTOML_HOME to a folder that you "
            "may read and write."
        ) from error


def rounded(value: Any) -> Any:
    """The same with numbers as they are read; what could not be measured is NaN, and no JSON."""
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value
