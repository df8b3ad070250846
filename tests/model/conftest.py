from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from plantood.model.starter import starter_dir


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """An entry to damage."""
    return Path(shutil.copytree(starter_dir(), tmp_path / "entry"))
