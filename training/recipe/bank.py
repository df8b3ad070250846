"""The bank: every picture of the recipe drawn and embedded once, and kept on disk.

The probes of all folds then train on what is here.
"""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from plantood.model.parts.arrays import unit
from plantood.model.parts.memory import DRAWN, Memory, remember
from plantood.model.runtime import usable_cpus
from plantood.training.features.cache import embed
from plantood.training.features.extractor import Extractor
from plantood.training.files.atomic import write_text
from plantood.training.files.disk import ensure_free
from plantood.training.process.progress import track
from plantood.training.recipe.draw import draw_picture
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import Sample

BATCH = 32
CHUNK = 32 * BATCH


class Draw(Protocol):
    """How a sample becomes a picture."""

    def __call__(self, sample: Sample, cuts: Cuts) -> NDArray[np.uint8]:
        """The picture ``[S, S, 3]``."""


@dataclass(frozen=True)
class Bank:
    """What the frozen backbone makes of every sample, in the samples' order."""

    samples: list[Sample]
    embeddings: NDArray[np.float32]
    """``[N, C]``."""

    @property
    def plant(self) -> NDArray[np.bool_]:
        """Labels ``[N]``."""
        return np.array([sample.plant for sample in self.samples])

    def memory(self, logits: NDArray[np.float32], weights: NDArray[np.float64]) -> Memory:
        """What a gate remembers of it; what was drawn has its kind in the place of a source.

        Args:
            logits: of P(plant) by the gate's head, ``[N]``.
            weights: how much each counted, ``[N]``, >= 0; those of 0 are not remembered.
        """
        names = [
            sample.sources[0] if sample.kind in ("photo", "copy") else sample.kind + DRAWN
            for sample in self.samples
        ]
        return remember(self.embeddings, logits, self.plant, names, weights)


def open_bank(
    samples: list[Sample],
    cuts: Cuts,
    extractor: Extractor,
    cache: Path,
    *,
    name: str,
    photos: str | None = None,
    of_length_1: bool = False,
    draw: Draw = draw_picture,
) -> Bank:
    """The bank of these samples and this backbone; what is missing is drawn and embedded.

    Chunks that are done are remembered, so that an interrupted run goes on.

    Args:
        samples: what to draw.
        cuts: how their photos are cut.
        extractor: the backbone.
        cache: folder of all banks.
        name: beginning of the name of the bank's folder.
        photos: digest of what the photos are and of how they are cut; None if their paths tell.
        of_length_1: divide every embedding by its length.
        draw: the picture of a sample, at the side that the backbone takes; a function of a module.

    Raises:
        UnreadablePhoto: if a photo is none, or is gone.
        SettingsError: if the disk has too little room.
    """
    known = [extractor.digest] if photos is None else [extractor.digest, photos]
    about = json.dumps([*known, *map(asdict, samples)], default=str)
    folder = cache / f"{name}-{sha256(about.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    vectors_file, done_file = folder / "embeddings.npy", folder / "done"
    done = int(done_file.read_text()) if done_file.exists() else 0
    if done < len(samples):
        shape = (len(samples), extractor.scorer.feature_shape[-1])
        needed = np.dtype(np.float32).itemsize * (shape[0] - done) * shape[1]
        ensure_free(folder, needed, "what the backbone makes of the recipe's pictures", "--cache")
        vectors = open_memmap(vectors_file, "r+" if done else "w+", np.float32, shape)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(usable_cpus(), mp_context=context) as pool:
            starts = range(done, len(samples), CHUNK)
            for start in track(starts, len(starts), "Drawing and embedding"):
                stop = min(start + CHUNK, len(samples))
                pictures = pool.map(partial(draw, cuts=cuts), samples[start:stop], chunksize=BATCH)
                pooled = np.stack(list(embed(pictures, extractor.scorer.feature_map)))
                vectors[start:stop] = unit(pooled) if of_length_1 else pooled
                vectors.flush()
                write_text(done_file, str(stop))
    return Bank(samples, np.load(vectors_file))
