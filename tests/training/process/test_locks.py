from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plantood.training.process.locks import lock


@pytest.fixture(params=["filelock", "none"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With filelock, and as on a serving installation."""
    if request.param == "none":
        monkeypatch.setitem(sys.modules, "filelock", None)  # its import fails
    return request.param


def test_one_at_a_time(installed: str, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        assert lock(one)
        assert not lock(other, wait=False)
        one.close()
        assert lock(other)


def test_both_ways_are_the_same_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        assert lock(one)
        monkeypatch.setitem(sys.modules, "filelock", None)
        assert not lock(other, wait=False)
