"""What a folder of a gate model is made of."""

from __future__ import annotations

import shutil
from pathlib import Path

from plantood.model.entry import BACKBONE, HEAD, KERAS
from plantood.model.parts.policy import Policy
from plantood.model.starter import starter_dir

ABOUT = {
    "backbone": "efficientnet_lite0",
    "head": "gap",
    "input_size": 224,
    "preprocessing": {"channel_order": "rgb"},
    "policy": Policy(plant_threshold=0.6),
    "metrics": {"test": {"accuracy": 0.9}},
    "card": "# A card\n\nIntended use.",
}

NAME = "gate-under-test"
"""Of gate models in the store."""


def model_files(directory: Path) -> Path:
    """A new folder with what `write_entry` needs to find there."""
    directory.mkdir()
    for name in (KERAS, BACKBONE, HEAD):
        shutil.copy(starter_dir() / name, directory / name)
    return directory
