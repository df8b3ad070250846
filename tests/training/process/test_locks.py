from __future__ import annotations

from pathlib import Path

from plantood.training.process.locks import lock


def test_one_at_a_time(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        assert lock(one)
        assert not lock(other, wait=False)
        one.close()
        assert lock(other)
