from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import bentoml
import pytest

from plantood.model.saving import save_gate
from plantood.model.starter import starter_dir
from tests.model.entries import NAME


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """An entry to damage."""
    return Path(shutil.copytree(starter_dir(), tmp_path / "entry"))


@pytest.fixture
def tag() -> Iterator[bentoml.Tag]:
    """A saved gate model, deleted afterwards."""
    tag = save_gate(starter_dir(), name=NAME)
    yield tag
    bentoml.models.delete(tag)
