from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plantood.model.entry import open_gate, write_entry
from plantood.model.store import save_gate
from plantood.policy import Policy
from plantood.reference import fit
from tests.service.tiny_gate import build
from tests.training.conftest import write_photo
from training.mining.mine import MineOptions

GATE = "tiny-mining"


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A gate in the store whose network is a sigmoid of green minus red, with a reference."""
    folder = tmp_path_factory.mktemp("gate")
    build(folder)
    manifest = open_gate(folder).manifest
    greens = np.random.default_rng(0).uniform((40, 90, 30), (60, 160, 50), (100, 3))
    write_entry(
        folder,
        reference=fit(greens.astype(np.float32)),
        policy=Policy(min_shorter_side=32, min_sharpness=0.02),
        metrics={},
        card="# Greener than red",
        **manifest.model_dump(include={"backbone", "head", "input_size", "preprocessing"}),
    )
    return str(save_gate(folder, name=GATE, version="1"))


@pytest.fixture
def production(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of photos nobody labelled: every third is green, two are broken."""

    def make(count: int = 40, name: str = "production") -> Path:
        folder = tmp_path / name
        for i in range(count):
            write_photo(folder / f"day-{i % 3}" / f"{i:03}.jpg", int(i % 3 == 0), i)
        whole = (folder / "day-0" / "000.jpg").read_bytes()
        (folder / "day-0" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
        (folder / "day-1" / "text.JPG").write_bytes(b"this is no photo")
        (folder / "day-1" / "notes.txt").write_text("not looked at")
        return folder

    return make


@pytest.fixture
def options(tmp_path: Path, gate: str) -> Callable[..., MineOptions]:
    """Options of mining, with the tiny gate and a round in the test's folder."""

    def make(source: object, out: str = "round", **values: object) -> MineOptions:
        return MineOptions(source=str(source), out=tmp_path / out, gate=gate, **values)

    return make
