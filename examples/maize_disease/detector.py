"""The detector: one ONNX graph that names the disease of a maize leaf.

Needs only onnxruntime, numpy and pydantic, and knows nothing of the gate.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import BaseModel, Field

MODEL_TAG = "maize_disease:1"
"""In the Bento model store. A model trained anew gets a new version, so that a bento built with
the old one can be rolled back to."""
MODEL_FILE = "maize_disease.onnx"
MAX_BATCH = 16
"""Photos in one forward pass; beyond it the time for each no longer falls, but memory grows."""


class Diagnosis(BaseModel):
    """What the detector says of one leaf."""

    disease: str = Field(description="The most likely class; `healthy` is one of them.")
    confidence: float = Field(ge=0, le=1, description="Its probability.")
    probabilities: dict[str, float] = Field(description="Of each class; they add up to 1.")


class Detector:
    """The graph of a model directory. May be shared between threads."""

    def __init__(self, directory: str | Path, threads: int = 0) -> None:
        """Load the graph.

        Args:
            directory: Holds `MODEL_FILE`.
            threads: Of one forward pass; 0 lets ONNX Runtime decide.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # the gate's network runs beside this one: its threads need the cores that waiting ones burn
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = Path(directory) / MODEL_FILE
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        about = self._session.get_modelmeta().custom_metadata_map
        self.diseases: list[str] = json.loads(about["diseases"])
        """Names of the classes, in the order of the graph's output."""
        self.input_size: int = self._session.get_inputs()[0].shape[1]
        """Side of the square input in pixels."""

    def probabilities(self, photos: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Probability of each class, ``[N, K]``, of photos, each uint8 RGB ``[S, S, 3]``."""
        found = [
            self._session.run(["probabilities"], {"image": np.stack(photos[start:][:MAX_BATCH])})[0]
            for start in range(0, len(photos), MAX_BATCH)
        ]
        return np.concatenate(found)

    def diagnose(self, photos: Sequence[NDArray[np.uint8]]) -> list[Diagnosis]:
        """Diagnose photos, each uint8 RGB ``[S, S, 3]``, in batches; the order is kept."""
        return [
            Diagnosis(
                disease=self.diseases[int(row.argmax())],
                confidence=float(row.max()),
                probabilities=dict(zip(self.diseases, row.tolist(), strict=True)),
            )
            for row in self.probabilities(photos)
        ]
