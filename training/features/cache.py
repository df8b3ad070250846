"""Feature maps of the frozen backbone: computed once, kept on disk, shared by all runs."""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plantood.photo.images import load_image, to_model_input
from plantood.training.files.atomic import write_atomic
from plantood.training.photos.data import LabelledPhoto
from plantood.training.process.parallel import map_in_order
from plantood.training.process.progress import track

Extract = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 photos ``[N, S, S, 3]`` to feature maps ``[N, h, w, C]``: a Scorer's ``feature_map``."""

T = TypeVar("T", bound=np.generic)
BATCH = 32
BLOCK = 8 * BATCH
"""Photos in one file of the cache: at most this many are computed again after a kill."""
FLOAT16_MAX = float(np.finfo(np.float16).max)


def read_input(path: Path, size: int) -> NDArray[np.uint8]:
    """One photo exactly as the network is served it, ``[size, size, 3]``."""
    return to_model_input(load_image(path), size)


def batches_of(images: Iterable[NDArray[T]], size: int) -> Iterator[NDArray[T]]:
    """Stack images into arrays of ``size``; the last one may be smaller."""
    images = iter(images)
    while batch := list(itertools.islice(images, size)):
        yield np.stack(batch)


def embed(
    images: Iterable[NDArray[np.uint8]], extract: Extract, batch_size: int = BATCH
) -> Iterator[NDArray[np.float32]]:
    """Global average pool of the feature map of each image, ``[C]`` each, in order.

    ``images`` may be any iterable of ``[S, S, 3]``, for example augmented copies made on the fly.
    """
    for batch in batches_of(images, batch_size):
        yield from extract(batch).mean(axis=(1, 2))


class FeatureCache:
    """Feature maps by content digest of the photo, float16, in memory-mapped files of one folder.

    A block of photos is one ``.npy`` file, and beside it a ``.json`` with their digests. Both are
    written under another name, forced to disk, and renamed; the index comes last, and a block
    without index does not exist. So a kill loses at most the block in the making, and two runs may
    write to the same folder at once. float16 keeps 11 bits; the probabilities change by less than
    the choice of a threshold can see.
    """

    def __init__(self, folder: Path) -> None:
        """Open the cache, an empty one if there is none."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._blocks: list[NDArray[np.float16]] = []
        self._place: dict[str, tuple[int, int]] = {}
        self._pooled: dict[int, NDArray[np.float32]] = {}
        for index in sorted(folder.glob("*.json")):
            self._open_block(index)

    def _open_block(self, index: Path) -> None:
        try:
            digests = json.loads(index.read_text(encoding="utf-8"))
            block = np.load(index.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return  # damaged on disk: computed again
        if len(block) != len(digests) or (self._blocks and block.shape[1:] != self.shape):
            return
        number = len(self._blocks)
        self._blocks.append(block)
        self._place |= {digest: (number, row) for row, digest in enumerate(digests)}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one feature map, ``(h, w, C)``.

        Raises:
            ValueError: while the cache is empty.
        """
        if not self._blocks:
            raise ValueError(f"the feature cache {self.folder} is empty")
        return self._blocks[0].shape[1:]

    def __len__(self) -> int:
        """Number of photos in the cache."""
        return len(self._place)

    def __contains__(self, digest: object) -> bool:
        """Whether the photo with this content digest is in the cache."""
        return digest in self._place

    def append(self, digests: Sequence[str], maps: NDArray[np.float32]) -> None:
        """Add one block, whole or not at all."""
        name = uuid.uuid4().hex
        half = np.clip(maps, -FLOAT16_MAX, FLOAT16_MAX).astype(np.float16)
        write_atomic(
            self.folder / f"{name}.npy", lambda file: np.save(file, half, allow_pickle=False)
        )
        index = json.dumps(list(digests)).encode()
        write_atomic(self.folder / f"{name}.json", lambda file: file.write(index))
        self._open_block(self.folder / f"{name}.json")

    def fill(self, photos: Sequence[LabelledPhoto], extract: Extract, size: int) -> int:
        """Compute what is missing, decoding in threads beside the network; returns how many.

        Args:
            photos: scanned photos.
            extract: the backbone.
            size: side of its input in pixels.
        """
        missing = list({p.sha256: p for p in photos if p.sha256 not in self}.values())
        images = map_in_order(lambda photo: read_input(photo.path, size), missing, ahead=2 * BATCH)
        maps = (extract(batch) for batch in batches_of(images, BATCH))
        rows = track(itertools.chain.from_iterable(maps), len(missing), "Computing features")
        digests = iter([photo.sha256 for photo in missing])
        for block in batches_of(rows, BLOCK):
            self.append(list(itertools.islice(digests, len(block))), block)
        return len(missing)

    def rows(self, photos: Sequence[LabelledPhoto]) -> FeatureRows:
        """The feature maps of these photos, in this order.

        Raises:
            KeyError: if one is not in the cache.
        """
        places = [self._place[photo.sha256] for photo in photos]
        return FeatureRows(self, np.array(places, np.int64).reshape(-1, 2))

    def block(self, number: int) -> NDArray[np.float16]:
        """All feature maps of one block, on disk."""
        return self._blocks[number]

    def pooled_block(self, number: int) -> NDArray[np.float32]:
        """Global average pool of all photos of one block, ``[n, C]``; kept in memory."""
        if number not in self._pooled:
            self._pooled[number] = self._blocks[number].mean(axis=(1, 2), dtype=np.float32)
        return self._pooled[number]


class FeatureRows:
    """A selection of feature maps ``[N, h, w, C]`` that stays on disk until it is indexed."""

    def __init__(self, cache: FeatureCache, places: NDArray[np.int64]) -> None:
        """Rows of the cache at ``[N, 2]`` (block, row) in this order."""
        self._cache = cache
        self._places = places

    def __len__(self) -> int:
        """Number of photos."""
        return len(self._places)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, h, w, C)``."""
        return (len(self), *self._cache.shape)

    def __getitem__(self, indices: NDArray[np.integer] | slice) -> NDArray[np.float32]:
        """Feature maps of several photos, ``[n, h, w, C]``."""
        return self._gather(self._places[indices], self._cache.block, self._cache.shape)

    def pooled(self) -> NDArray[np.float32]:
        """Global average pool of every photo, ``[N, C]``: the embedding."""
        return self._gather(self._places, self._cache.pooled_block, self._cache.shape[2:])

    @staticmethod
    def _gather(
        places: NDArray[np.int64],
        block: Callable[[int], NDArray[np.floating]],
        shape: tuple[int, ...],
    ) -> NDArray[np.float32]:
        out = np.empty((len(places), *shape), np.float32)
        for number in np.unique(places[:, 0]):
            mine = np.flatnonzero(places[:, 0] == number)
            out[mine] = block(int(number))[places[mine, 1]]
        return out


def weights_digest(weights: Iterable[NDArray[Any]], about: str = "") -> str:
    """SHA-256 of arrays with their shapes, hexadecimal; ``about`` is hashed with them.

    The key of a cache: other weights, preprocessing or input size are another backbone.
    """
    digest = hashlib.sha256(about.encode())
    for array in weights:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
