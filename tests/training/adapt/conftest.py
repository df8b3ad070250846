from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plantood.model.entry import BACKBONE, HEAD, open_gate, write_entry
from plantood.model.parts.calibration import Calibration, logit
from plantood.model.parts.memory import remember
from plantood.model.parts.neighbours import Neighbours
from plantood.model.parts.policy import Policy
from plantood.model.runtime import Scorer
from plantood.model.saving import save_gate
from plantood.photo.images import to_model_input
from tests.service.tiny_gate import SIZE, build
from tests.training.conftest import draw

CALIBRATION = Calibration(0.8, 0.1, margin=1.5, pictures=120)


def blue(seed: int) -> np.ndarray:
    """A plant that a gate which looks for green takes for something else."""
    return np.ascontiguousarray(draw(1, seed)[..., [0, 2, 1]])


@pytest.fixture(scope="session")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gate by green minus red that remembers green plants and grey others."""
    folder = tmp_path_factory.mktemp("entry")
    build(folder)
    manifest = open_gate(folder).manifest
    labels = np.arange(120) % 2 == 0
    batch = np.stack([to_model_input(draw(int(y), i), SIZE) for i, y in enumerate(labels)])
    scores = Scorer(folder / BACKBONE, folder / HEAD, threads=1).score(batch)
    memory = remember(
        scores.embedding,
        logit(scores.plant_probability),
        labels,
        [f"{'field' if y else 'street'} {i % 3}" for i, y in enumerate(labels)],
        np.ones(120),
    )
    margins = Neighbours(memory).of_remembered().margin
    said = CALIBRATION.logits(scores.plant_probability, margins).astype(np.float32)
    write_entry(
        folder,
        memory=replace(memory, logit=said),
        calibration=CALIBRATION,
        policy=Policy(min_shorter_side=32, plant_threshold=0.55),
        metrics={"seen": {"train": "", "val": ""}},
        card="# Greener than red",
        data=manifest.data,
        **manifest.model_dump(include={"backbone", "head", "input_size", "preprocessing"}),
    )
    return folder


@pytest.fixture(scope="session")
def tag(entry: Path) -> str:
    """The same in the store."""
    return str(save_gate(entry, name="tiny-adapt", version="1"))


@pytest.fixture
def few(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with some blue plants and some grey others."""

    def make(plants: int = 10, others: int = 10, name: str = "few") -> Path:
        folder = tmp_path / name
        for label, count in (("plant", plants), ("other", others)):
            (folder / label).mkdir(parents=True)
            for i in range(count):
                pixels = blue(1000 + i) if label == "plant" else draw(0, 2000 + i)
                Image.fromarray(pixels).save(folder / label / f"{i}.jpg", quality=95)
        return folder

    return make
