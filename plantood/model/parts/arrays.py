"""Arrays that a gate model keeps as a file, and what is computed with rows of them.

Needs only NumPy.
"""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dataclasses import Field

Floats = NDArray[np.float32]

MOST_BYTES = 64 << 20
"""Of all arrays in a file together, once they are inflated: what a gate remembers takes 4 MB."""


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
            zipfile.BadZipFile: The file is no such archive.
            ValueError: It holds pickled objects; it is larger than any; or what is in it does not
                belong together.
            KeyError: An array is missing.
        """
        with zipfile.ZipFile(path) as archive:  # reads no more of a member than is said here
            size = sum(member.file_size for member in archive.infolist())
            if size > MOST_BYTES:
                raise ValueError(f"it inflates to {size:,} bytes, more than {MOST_BYTES:,}")
            found = cls(**{field.name: _array(archive, field.name) for field in fields(cls)})
        found.ensure_sound()
        return found

    def ensure_sound(self) -> None:
        """Refuse arrays that do not belong together, or are of another kind.

        Raises:
            ValueError: They do not.
        """
        for field in fields(self):
            array = getattr(self, field.name)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{field.name} holds what is no finite number")


def ensure_are(kind: str, **arrays: tuple[NDArray[Any], tuple[int, ...]]) -> None:
    """Refuse an array that is not of NumPy's dtype kind ``kind``, or has not the shape beside it.

    Raises:
        ValueError: There is one.
    """
    for name, (array, shape) in arrays.items():
        if array.dtype.kind != kind or array.shape != shape:
            raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, not {list(shape)}")


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows [N,C] at length 1, float32; a row of zeros stays one."""
    given = np.asarray(rows, np.float32)
    length = np.linalg.norm(given, axis=1, keepdims=True)
    return np.asarray(given / np.maximum(length, 1e-12), np.float32)


def products(rows: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.floating]:
    """Dot products of rows [M,C] with others [N,C], or with one [C]: [M,N], or [M].

    By NumPy's own loop, on the thread that asks. ``rows @ others.T`` would run on the threads of
    a BLAS, one for each core, which then spin beside those of the scorer and take its cores from
    it; and its last digits would depend on how many rows are asked for at once.
    """
    return np.asarray(np.einsum("mc,...c->m...", rows, others))
