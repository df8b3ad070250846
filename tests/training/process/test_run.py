from __future__ import annotations

from pathlib import Path

import pytest

from plantood.errors import SettingsError
from plantood.training.process.run import open_run, run_name

IDENTITY = {"seed": 0, "backbone": "mobilenet", "leave_out": ("a",)}


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        with open_run(tmp_path / "r", IDENTITY) as folder:
            assert folder == tmp_path / "r"


def test_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    with open_run(tmp_path / "r", IDENTITY):
        pass
    with (
        pytest.raises(SettingsError, match=r"seed was 0, is 1.*another name"),
        open_run(tmp_path / "r", IDENTITY | {"seed": 1}),
    ):
        pass


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        open_run(tmp_path / "r", IDENTITY),
        pytest.raises(SettingsError, match="Another process"),
        open_run(tmp_path / "r", IDENTITY),
    ):
        pass


def test_names_tell_runs_apart() -> None:
    name = run_name("photos/set.csv", "mobilenet", IDENTITY)
    assert name.startswith("set-mobilenet-")
    assert run_name("photos/set.csv", "mobilenet", dict(reversed(IDENTITY.items()))) == name
    assert run_name("photos/set.csv", "mobilenet", IDENTITY | {"seed": 1}) != name
