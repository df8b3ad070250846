"""The bank: every picture of the recipe drawn and embedded once, and kept on disk.

The probe and the fine-tuning of all folds then train on what is here.
"""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import onnxruntime
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from plantood.runtime import usable_cpus
from training.atomic import write_atomic
from training.features import weights_digest
from training.progress import track
from training.starter.draw import draw
from training.starter.plan import Sample

CACHED = "block14_add"
"""The layer whose output is cached; block 15 and the head convolution stand above it."""
BATCH = 32
CHUNK = 32 * BATCH


@dataclass(frozen=True)
class Bank:
    """What the pretrained backbone makes of every sample, in the samples' order."""

    folder: Path
    samples: list[Sample]
    maps: NDArray[np.float16]
    """``[N, 7, 7, 192]``, the output of `CACHED`: what fine-tuning starts from."""
    embeddings: NDArray[np.float32]
    """``[N, 1280]``, of length 1: what the probe sees."""

    @property
    def plant(self) -> NDArray[np.bool_]:
        """Labels ``[N]``."""
        return np.array([sample.plant for sample in self.samples])


def open_bank(samples: list[Sample], backbone: keras.Model, cache: Path) -> Bank:
    """The bank of these samples and this backbone; what is missing is drawn and embedded.

    Chunks that are done are remembered, so that an interrupted run goes on.
    """
    about = json.dumps([asdict(sample) for sample in samples], default=str)
    folder = cache / f"starter-{weights_digest(backbone.get_weights(), about)[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    maps_file, vectors_file = folder / "maps.npy", folder / "embeddings.npy"
    done_file = folder / "done"
    channels = backbone.output_shape[-1]
    done = int(done_file.read_text()) if done_file.exists() else 0
    if done < len(samples):
        mode = "r+" if done else "w+"
        shape = (len(samples), *backbone.get_layer(CACHED).output.shape[1:])
        maps = open_memmap(maps_file, mode, np.float16, shape)
        vectors = open_memmap(vectors_file, mode, np.float32, (len(samples), channels))
        session = _two_outputs(backbone, folder / "backbone.onnx")
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(usable_cpus(), mp_context=context) as pool:
            starts = range(done, len(samples), CHUNK)
            for start in track(starts, len(starts), "Drawing and embedding"):
                stop = min(start + CHUNK, len(samples))
                drawn = list(pool.map(draw, samples[start:stop], chunksize=BATCH))
                for first in range(start, stop, BATCH):
                    last = min(first + BATCH, stop)
                    pixels = np.stack(drawn[first - start : last - start])
                    maps[first:last], top = session.run(["cached", "top"], {"image": pixels})
                    vectors[first:last] = unit(top.mean(axis=(1, 2)))
                maps.flush()
                vectors.flush()
                text = str(stop).encode()
                write_atomic(done_file, lambda file, text=text: file.write(text))
    return Bank(folder, samples, np.load(maps_file, mmap_mode="r"), np.load(vectors_file))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows ``[N, C]`` scaled to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _two_outputs(backbone: keras.Model, graph: Path) -> onnxruntime.InferenceSession:
    """The backbone by ONNX Runtime, with the cached layer as a second output."""
    model = keras.Model(
        backbone.input, {"cached": backbone.get_layer(CACHED).output, "top": backbone.output}
    )
    spec = keras.InputSpec(shape=model.input.shape, dtype="uint8", name="image")
    model.export(graph, format="onnx", input_signature=[spec], verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
