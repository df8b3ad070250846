"""The bank: every picture of the recipe drawn and embedded once, and kept on disk.

The probes of all folds then train on what is here.
"""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from plantood.model.runtime import usable_cpus
from plantood.training.files.atomic import write_text
from plantood.training.fitting.extractor import Extractor
from plantood.training.fitting.features import embed
from plantood.training.process.progress import track
from plantood.training.starter.draw import draw
from plantood.training.starter.plan import Sample

BATCH = 32
CHUNK = 32 * BATCH


@dataclass(frozen=True)
class Bank:
    """What the frozen backbone makes of every sample, in the samples' order."""

    samples: list[Sample]
    embeddings: NDArray[np.float32]
    """``[N, C]``, of length 1."""

    @property
    def plant(self) -> NDArray[np.bool_]:
        """Labels ``[N]``."""
        return np.array([sample.plant for sample in self.samples])


def open_bank(samples: list[Sample], extractor: Extractor, cache: Path) -> Bank:
    """The bank of these samples and this backbone; what is missing is drawn and embedded.

    Chunks that are done are remembered, so that an interrupted run goes on.
    """
    about = json.dumps([extractor.digest, *map(asdict, samples)], default=str)
    folder = cache / f"starter-{sha256(about.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    vectors_file, done_file = folder / "embeddings.npy", folder / "done"
    done = int(done_file.read_text()) if done_file.exists() else 0
    if done < len(samples):
        shape = (len(samples), extractor.scorer.feature_shape[-1])
        vectors = open_memmap(vectors_file, "r+" if done else "w+", np.float32, shape)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(usable_cpus(), mp_context=context) as pool:
            starts = range(done, len(samples), CHUNK)
            for start in track(starts, len(starts), "Drawing and embedding"):
                stop = min(start + CHUNK, len(samples))
                pictures = pool.map(draw, samples[start:stop], chunksize=BATCH)
                pooled = list(embed(pictures, extractor.scorer.feature_map))
                vectors[start:stop] = unit(np.stack(pooled))
                vectors.flush()
                write_text(done_file, str(stop))
    return Bank(samples, np.load(vectors_file))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows ``[N, C]`` scaled to length 1."""
    lengths: NDArray[np.float32] = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors / lengths
