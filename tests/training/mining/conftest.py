from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plantood.training.mining.mine import MineOptions

GATE = "tiny-mining"


@pytest.fixture
def options(tmp_path: Path, gate: str) -> Callable[..., MineOptions]:
    """Options of mining, with the tiny gate and a round in the test's folder."""

    def make(source: object, out: str = "round", **values: object) -> MineOptions:
        # Its embeddings are three colours, by which many photos are alike.
        chosen = {"audit": 0, "near_duplicates": True} | values
        return MineOptions(source=str(source), out=tmp_path / out, gate=gate, **chosen)

    return make
