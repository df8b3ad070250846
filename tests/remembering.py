"""The starter gate, remembering a few pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plantood.model.entry import MANIFEST, MEMORY, GateModel, open_gate, sha256
from plantood.model.parts.memory import remember
from plantood.model.starter import starter_dir
from plantood.photo.images import Photo, load_image, to_model_input


def remembering(folder: Path, pictures: Sequence[tuple[Photo, bool, str]]) -> GateModel:
    """A copy of the starter that remembers pictures, each with plant or not, and its source."""
    shutil.copytree(starter_dir(), folder)
    scorer = open_gate(folder).scorer(1)
    photos, plant, sources = zip(*pictures, strict=True)
    batch = [to_model_input(load_image(photo), scorer.input_size) for photo in photos]
    embeddings = scorer.score(np.stack(batch)).embedding
    count = len(photos)
    remember(embeddings, np.zeros(count), np.array(plant), sources, np.ones(count)).save(
        folder / MEMORY
    )
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][MEMORY] = sha256(folder / MEMORY)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return open_gate(folder)
