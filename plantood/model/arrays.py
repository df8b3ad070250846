"""Arrays that a gate model keeps as a file, and rows of them at length 1. Needs only NumPy."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dataclasses import Field

Floats = NDArray[np.float32]


class Arrays:
    """Base of dataclasses whose fields are all arrays."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def save(self, path: str | Path) -> None:
        """Write it as ``.npz`` of plain arrays."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; never unpickles.

        Raises:
            ValueError: The file holds pickled objects or is no such archive.
            KeyError: An array is missing.
        """
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows [N,C] at length 1, float32; a row of zeros stays one."""
    given = np.asarray(rows, np.float32)
    length = np.linalg.norm(given, axis=1, keepdims=True)
    return np.asarray(given / np.maximum(length, 1e-12), np.float32)
